package dev.sarathi.tests.chaos;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.random.RandomGenerator;

/**
 * The instances of an application. A process that ends while its instance is wanted is started
 * again, as an orchestrator does.
 *
 * <p>Threading: all methods are synchronized but those of the instances, which may take seconds.
 */
final class Fleet implements AutoCloseable {
  private static final long SUPERVISION_MILLIS = 300;

  private final Path directory;
  private final Map<String, String> settings;
  private final int smallest;
  private final int largest;

  /** All that ever were; those scaled in may come back, with the state that they left. */
  private final List<Instance> all = new ArrayList<>();

  private final Set<Instance> wanted = new HashSet<>();

  /** Those that a fault is at work on. */
  private final Set<Instance> struck = new HashSet<>();

  private final AtomicInteger restarts = new AtomicInteger();
  private final Thread supervisor =
      Thread.ofPlatform().daemon().name("supervisor").unstarted(this::supervise);
  private volatile boolean closed;

  /**
   * @param instances how many to begin with; one fewer is the least, one more the most
   */
  Fleet(final Path directory, final Map<String, String> settings, final int instances) {
    this.directory = directory;
    this.settings = settings;
    this.smallest = Math.max(1, instances - 1);
    this.largest = instances + 1;
    for (int i = 0; i < instances; i++) {
      add();
    }
    supervisor.start();
  }

  private synchronized Instance add() {
    final String name = "instance-" + (all.size() + 1);
    final Instance instance = new Instance(name, directory.resolve(name), settings);
    all.add(instance);
    wanted.add(instance);
    return instance;
  }

  private void supervise() {
    while (!closed && !ChildJvm.isRefused()) {
      for (final Instance instance : due()) {
        restarts.incrementAndGet();
        instance.start();
      }
      try {
        Thread.sleep(SUPERVISION_MILLIS);
      } catch (final InterruptedException e) {
        return;
      }
    }
  }

  private synchronized List<Instance> due() {
    return all.stream().filter(wanted::contains).filter(instance -> !instance.isAlive()).toList();
  }

  /** A running instance that no fault is at work on, while another one is left to go on. */
  synchronized Optional<Instance> strike(final RandomGenerator random) {
    final List<Instance> free = free();
    if (free.size() < 2) {
      return Optional.empty();
    }
    final Instance chosen = free.get(random.nextInt(free.size()));
    struck.add(chosen);
    return Optional.of(chosen);
  }

  synchronized boolean canBeStruck() {
    return free().size() >= 2;
  }

  private List<Instance> free() {
    return all.stream()
        .filter(wanted::contains)
        .filter(instance -> !struck.contains(instance))
        .filter(Instance::isAlive)
        .toList();
  }

  synchronized void heal(final Instance instance) {
    struck.remove(instance);
  }

  synchronized boolean canGrow() {
    return wanted.size() < largest;
  }

  synchronized boolean canShrink() {
    return wanted.size() > smallest && canBeStruck();
  }

  /** One more: one that was there before, or a new one. The supervisor starts it. */
  synchronized Instance grow() {
    final Optional<Instance> idle =
        all.stream().filter(instance -> !wanted.contains(instance)).findFirst();
    idle.ifPresent(wanted::add);
    return idle.orElseGet(this::add);
  }

  /** The supervisor lets it be. */
  synchronized void dismiss(final Instance instance) {
    wanted.remove(instance);
  }

  synchronized List<Instance> instances() {
    return List.copyOf(all);
  }

  /** Starts of processes beyond the first of each instance. */
  int restarts() {
    return restarts.get() - instances().size();
  }

  /** Ends all of it cleanly, so that what it has counted is written down. */
  void stop() throws InterruptedException {
    closed = true;
    supervisor.join();
    final List<Thread> ends =
        instances().stream()
            .filter(Instance::isAlive)
            .map(instance -> Thread.ofPlatform().start(instance::terminate))
            .toList();
    for (final Thread end : ends) {
      end.join();
    }
  }

  @Override
  public void close() {
    closed = true;
    supervisor.interrupt();
    instances().forEach(Instance::close);
  }
}
