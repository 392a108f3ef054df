package dev.sarathi.runtime.execute.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;

class WorkerPoolTest {
  private static final long MUCH = Long.MAX_VALUE;

  @Test
  void shouldRunEveryUnitOnceHoweverOperationsFollowEachOther() {
    try (WorkerPool pool = new WorkerPool(3)) {
      for (int round = 0; round < 20_000; round++) {
        final int units = 1 + round % 7;
        final AtomicIntegerArray runs = new AtomicIntegerArray(units);
        pool.run(units, MUCH, (unit, worker) -> runs.incrementAndGet(unit));
        for (int unit = 0; unit < units; unit++) {
          assertThat(runs.get(unit)).isEqualTo(1);
        }
      }
    }
  }

  @Test
  void shouldWakeParkedWorkersAndShowWhatTheyWrote() {
    try (WorkerPool pool = new WorkerPool(2)) {
      for (int round = 0; round < 50; round++) {
        LockSupport.parkNanos(1_000_000);
        final int[] written = new int[64];
        pool.run(64, MUCH, (unit, worker) -> written[unit] = unit + 1);
        assertThat(Arrays.stream(written).sum()).isEqualTo(64 * 65 / 2);
      }
    }
  }

  @Test
  void shouldRethrowAFailureAndGoOn() {
    try (WorkerPool pool = new WorkerPool(2)) {
      assertThatThrownBy(
              () ->
                  pool.run(
                      8,
                      MUCH,
                      (unit, worker) -> {
                        throw new ArithmeticException("unit " + unit);
                      }))
          .isInstanceOf(IllegalStateException.class)
          .hasCauseInstanceOf(ArithmeticException.class);
      final int[] runs = new int[8];
      pool.run(8, MUCH, (unit, worker) -> runs[unit]++);
      assertThat(runs).containsOnly(1);
    }
  }

  @Test
  void shouldTakeNoProcessorTimeWhileThereIsNothingToDo() throws Exception {
    final ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    try (WorkerPool pool = new WorkerPool(3)) {
      // given workers that have just been busy
      pool.run(1_000, MUCH, (unit, worker) -> Thread.onSpinWait());
      Thread.sleep(100);

      // when
      final long before = workerTime(threads);
      Thread.sleep(300);

      // then they have parked
      assertThat(workers()).hasSize(2);
      assertThat(workerTime(threads) - before).isLessThan(5_000_000);
    }
  }

  /** As many as asked for in all, the calling one among them: others need processors too. */
  @Test
  void shouldRunOnNoMoreThreadsThanAskedFor() {
    final Set<Thread> ran = ConcurrentHashMap.newKeySet();
    try (WorkerPool pool = new WorkerPool(2)) {
      for (int round = 0; round < 200; round++) {
        pool.run(50, MUCH, (unit, worker) -> ran.add(Thread.currentThread()));
      }
      assertThat(pool.threads()).isEqualTo(2);
    }
    assertThat(ran).hasSizeLessThanOrEqualTo(2).contains(Thread.currentThread());
  }

  private static long workerTime(final ThreadMXBean threads) {
    return workers().stream()
        .mapToLong(thread -> threads.getThreadCpuTime(thread.threadId()))
        .sum();
  }

  private static List<Thread> workers() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getName().startsWith("sarathi-cpu-"))
        .toList();
  }

  @Test
  void shouldEndItsThreadsWhenClosed() {
    final WorkerPool pool = new WorkerPool(3);
    pool.close();
    assertThat(workers()).isEmpty();
  }
}
