package dev.sarathi.runtime.execute.cpu;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;

/**
 * Threads that share the units of one operation after another with the thread that runs them. A
 * worker without work spins briefly, since the next operation is microseconds away while a batch is
 * computed, then parks, since other threads want the processor.
 *
 * <p>Threading: one thread at a time calls {@link #run}. Units are claimed in rising order but run
 * on any thread; everything they wrote is visible when {@link #run} returns.
 */
final class WorkerPool implements AutoCloseable {

  /** One operation, cut into units that do not depend on each other. */
  interface Operation {
    /**
     * @param worker from 0 to {@link WorkerPool#threads()} - 1: whose scratch memory to use
     */
    void run(int unit, int worker);
  }

  /** Below this many multiply-adds, waking another thread costs more than it saves. */
  private static final long WORTH_SHARING = 200_000;

  private static final long SPIN_NANOS = 50_000;
  private static final int SPINS_BEFORE_YIELD = 2_000;

  private final Thread[] workers;
  private final AtomicIntegerArray parked;

  /** Upper half: the operation's units. Lower half: the next unclaimed one. */
  private final AtomicLong claims = new AtomicLong();

  private final AtomicInteger unfinished = new AtomicInteger();
  private final AtomicReference<Throwable> failure = new AtomicReference<>();

  // Written before the claims are published, and not again until every unit has finished.
  private Operation operation;
  private volatile boolean closed;

  WorkerPool(final int threads) {
    workers = new Thread[threads - 1];
    parked = new AtomicIntegerArray(workers.length);
    for (int i = 0; i < workers.length; i++) {
      final int worker = i;
      workers[i] =
          Thread.ofPlatform()
              .daemon()
              .name("sarathi-cpu-" + (worker + 1))
              .start(() -> work(worker));
    }
  }

  /** The workers and the calling thread. */
  int threads() {
    return workers.length + 1;
  }

  /**
   * Runs all units of an operation and returns when the last has finished.
   *
   * @param work multiply-adds of all units together; few are run on the calling thread alone
   */
  void run(final int units, final long work, final Operation operation) {
    if (workers.length == 0 || units < 2 || work < WORTH_SHARING) {
      for (int unit = 0; unit < units; unit++) {
        operation.run(unit, 0);
      }
      return;
    }
    this.operation = operation;
    unfinished.set(units);
    claims.set((long) units << 32);
    wake(units - 1);
    runClaimed(0);
    for (int spins = 0; unfinished.get() > 0; spins++) {
      if (spins < SPINS_BEFORE_YIELD) {
        Thread.onSpinWait();
      } else {
        Thread.yield();
      }
    }
    final Throwable thrown = failure.getAndSet(null);
    if (thrown != null) {
      throw new IllegalStateException("an operation failed on a worker thread", thrown);
    }
  }

  private void wake(int wanted) {
    for (int i = 0; i < workers.length && wanted > 0; i++, wanted--) {
      if (parked.get(i) == 1) {
        LockSupport.unpark(workers[i]);
      }
    }
  }

  private void runClaimed(final int worker) {
    for (int unit = claim(); unit >= 0; unit = claim()) {
      try {
        operation.run(unit, worker);
      } catch (Throwable e) {
        failure.compareAndSet(null, e);
      } finally {
        unfinished.decrementAndGet();
      }
    }
  }

  private int claim() {
    while (true) {
      final long state = claims.get();
      if ((int) state >= (int) (state >>> 32)) {
        return -1;
      }
      if (claims.compareAndSet(state, state + 1)) {
        return (int) state;
      }
    }
  }

  private boolean nothingToClaim() {
    final long state = claims.get();
    return (int) state >= (int) (state >>> 32);
  }

  private void work(final int index) {
    while (!closed) {
      runClaimed(index + 1);
      final long start = System.nanoTime();
      while (nothingToClaim() && System.nanoTime() - start < SPIN_NANOS) {
        Thread.onSpinWait();
      }
      // Announced before the last look, so that either this look or the caller's sees the other.
      parked.set(index, 1);
      while (nothingToClaim() && !closed) {
        LockSupport.park(this);
      }
      parked.set(index, 0);
    }
  }

  /** Ends the threads. No operation may be running. */
  @Override
  public void close() {
    closed = true;
    boolean interrupted = false;
    for (Thread worker : workers) {
      LockSupport.unpark(worker);
      while (worker.isAlive()) {
        try {
          worker.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
