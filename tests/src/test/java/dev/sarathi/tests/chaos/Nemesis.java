package dev.sarathi.tests.chaos;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Draws faults from the deck, one after each interval, and heals what it did. A fault that lasts
 * may still be at work when the next one begins; but at most one is at work on the brokers, one on
 * the network, and one on each instance, and one instance is always left alone.
 *
 * <p>Threading: {@link #run} on one thread; each fault on a thread of its own.
 */
final class Nemesis {
  private static final Logger LOG = LoggerFactory.getLogger(Nemesis.class);

  /** Longer than the sessions: 8 s in the classic protocol, 6 s in that of Streams. */
  private static final Duration ZOMBIE = Duration.ofSeconds(12);

  private static final Duration NETWORK_FAULT = Duration.ofSeconds(6);
  private static final Duration BLACKHOLE = Duration.ofSeconds(10);
  private static final Duration FULL_DISK = Duration.ofSeconds(3);
  private static final Duration RESTART_LIMIT = Duration.ofSeconds(20);
  private static final Duration PROGRESS_LIMIT = Duration.ofSeconds(15);
  private static final int LOST_COMMITS = 4;

  private final Cluster cluster;
  private final Fleet fleet;
  private final List<NetworkRule> rules;
  private final String applicationId;
  private final String tokensTopic;
  private final int partitions;
  private final Deck deck;
  private final Random random;
  private final LongSupplier committedTokens;
  private final long origin;
  private final List<Struck> struck = Collections.synchronizedList(new ArrayList<>());
  private final AtomicBoolean brokersStruck = new AtomicBoolean();
  private final AtomicBoolean networkStruck = new AtomicBoolean();

  /**
   * @param origin when the campaign began, in nanoseconds
   */
  Nemesis(
      final Cluster cluster,
      final Fleet fleet,
      final List<NetworkRule> rules,
      final Phase phase,
      final Deck deck,
      final long seed,
      final LongSupplier committedTokens,
      final long origin) {
    this.cluster = cluster;
    this.fleet = fleet;
    this.rules = rules;
    this.applicationId = phase.applicationId();
    this.tokensTopic = phase.tokensTopic();
    this.partitions = Phase.PARTITIONS;
    this.deck = deck;
    this.random = new Random(seed);
    this.committedTokens = committedTokens;
    this.origin = origin;
  }

  /** Strikes until the deadline, then waits until everything is healed. */
  List<Struck> run(final long deadline, final Duration interval) throws InterruptedException {
    try (ExecutorService faults = Executors.newCachedThreadPool()) {
      while (System.nanoTime() < deadline) {
        if (!brokersStruck.get()) {
          cluster.revive().forEach(node -> LOG.warn("broker-{} had ended by itself", node.id));
        }
        final Optional<Fault> fault = deck.draw(this::isPossible);
        fault.ifPresent(drawn -> begin(drawn, faults));
        final double share = fault.isPresent() ? 0.7 + 0.6 * random.nextDouble() : 0.1;
        Thread.sleep((long) (interval.toMillis() * share));
        awaitProgress();
      }
      faults.shutdown();
      if (!faults.awaitTermination(120, TimeUnit.SECONDS)) {
        LOG.warn("faults are still at work after two minutes");
        faults.shutdownNow();
      }
    }
    rules.clear();
    cluster.awaitWhole(Duration.ofSeconds(60));
    return List.copyOf(struck);
  }

  /** The next fault is to find something that goes on, unless nothing does. */
  private void awaitProgress() throws InterruptedException {
    final long before = struck.isEmpty() ? 0 : struck.getLast().tokens();
    final long limit = System.nanoTime() + PROGRESS_LIMIT.toNanos();
    while (committedTokens.getAsLong() == before && System.nanoTime() < limit) {
      Thread.sleep(50);
    }
  }

  private boolean isPossible(final Fault fault) {
    return switch (fault) {
      case KILL_INSTANCE, BOUNCE_INSTANCE, PAUSE_INSTANCE, BREAK_ENGINE, FILL_DISK ->
          fleet.canBeStruck();
      case SCALE_OUT -> fleet.canGrow();
      case SCALE_IN -> fleet.canShrink();
      case KILL_BROKER, KILL_TRANSACTION_COORDINATOR, KILL_GROUP_COORDINATOR, KILL_LEADER ->
          !brokersStruck.get() && cluster.isWhole();
      case DROP_CONNECTIONS, DELAY, LOSE_COMMIT, LOSE_COMMIT_ANSWER -> !networkStruck.get();
      case BLACKHOLE -> !networkStruck.get() && fleet.canBeStruck();
      case FENCE_PRODUCER -> true;
    };
  }

  private void begin(final Fault fault, final ExecutorService faults) {
    switch (fault) {
      case KILL_INSTANCE, BOUNCE_INSTANCE, PAUSE_INSTANCE, BREAK_ENGINE, FILL_DISK, SCALE_IN ->
          fleet
              .strike(random)
              .ifPresent(
                  instance -> {
                    note(fault, instance.name);
                    run(
                        faults,
                        fault,
                        () -> {
                          try {
                            strike(fault, instance);
                          } finally {
                            fleet.heal(instance);
                          }
                          return null;
                        });
                  });
      case SCALE_OUT -> note(fault, fleet.grow().name);
      case KILL_BROKER, KILL_TRANSACTION_COORDINATOR, KILL_GROUP_COORDINATOR, KILL_LEADER -> {
        brokersStruck.set(true);
        final int any = random.nextInt(cluster.nodes().size());
        final int partition = random.nextInt(partitions);
        final Duration pause = Duration.ofMillis(2_000 + random.nextInt(4_000));
        run(
            faults,
            fault,
            () -> {
              try {
                final BrokerNode node = broker(fault, any, partition);
                note(fault, "broker-" + node.id);
                cluster.bringDown(node, pause);
              } finally {
                brokersStruck.set(false);
              }
              return null;
            });
      }
      case DROP_CONNECTIONS, DELAY, LOSE_COMMIT, LOSE_COMMIT_ANSWER -> {
        final int broker = cluster.nodes().get(random.nextInt(cluster.nodes().size())).id;
        final int millis = 100 + random.nextInt(400);
        networkStruck.set(true);
        run(
            faults,
            fault,
            () -> {
              try {
                strikeNetwork(fault, broker, millis);
              } finally {
                networkStruck.set(false);
              }
              return null;
            });
      }
      case BLACKHOLE ->
          fleet
              .strike(random)
              .ifPresent(
                  instance -> {
                    networkStruck.set(true);
                    note(fault, instance.name);
                    run(
                        faults,
                        fault,
                        () -> {
                          try {
                            apply(
                                new NetworkRule.Blackhole(new NetworkRule.Where(0, instance.name)),
                                BLACKHOLE);
                          } finally {
                            fleet.heal(instance);
                            networkStruck.set(false);
                          }
                          return null;
                        });
                  });
      case FENCE_PRODUCER -> run(faults, fault, this::fence);
    }
  }

  private static void run(
      final ExecutorService faults, final Fault fault, final Callable<Void> action) {
    faults.execute(
        () -> {
          try {
            action.call();
          } catch (final Exception e) {
            LOG.warn("{} came to nothing: {}", fault, e.toString());
          }
        });
  }

  private void note(final Fault fault, final String target) {
    final long tokens = committedTokens.getAsLong();
    final Duration at = Duration.ofNanos(System.nanoTime() - origin);
    LOG.info("{} of {}; {} tokens committed", fault, target, tokens);
    struck.add(new Struck(at, fault, target, tokens));
  }

  private void strike(final Fault fault, final Instance instance) throws InterruptedException {
    switch (fault) {
      case KILL_INSTANCE -> instance.kill();
      case BOUNCE_INSTANCE -> instance.terminate();
      case SCALE_IN -> {
        fleet.dismiss(instance);
        instance.terminate();
      }
      case PAUSE_INSTANCE -> {
        instance.stop();
        try {
          Thread.sleep(ZOMBIE);
        } finally {
          instance.resume();
        }
      }
      case BREAK_ENGINE -> {
        final int starts = instance.starts();
        instance.breakEngine();
        awaitStarts(instance, starts + 1);
        instance.mend();
      }
      case FILL_DISK -> {
        instance.disk.fill();
        try {
          Thread.sleep(FULL_DISK);
          final int starts = instance.starts();
          instance.terminate();
          // One that cannot start without room ends, and is started a second time.
          awaitStarts(instance, starts + 2);
        } finally {
          instance.disk.free();
        }
      }
      default -> throw new IllegalArgumentException(fault + " is not of an instance");
    }
  }

  /** An engine breaks when it next has something to do, which it may not have for a while. */
  private static void awaitStarts(final Instance instance, final int starts)
      throws InterruptedException {
    final long limit = System.nanoTime() + RESTART_LIMIT.toNanos();
    while (instance.starts() < starts && System.nanoTime() < limit) {
      Thread.sleep(200);
    }
  }

  private BrokerNode broker(final Fault fault, final int any, final int partition) {
    try {
      return wanted(fault, partition).orElse(cluster.nodes().get(any));
    } catch (final IllegalStateException e) {
      LOG.info("{} hits any broker: {}", fault, e.getMessage());
      return cluster.nodes().get(any);
    }
  }

  private Optional<BrokerNode> wanted(final Fault fault, final int partition) {
    return switch (fault) {
      case KILL_TRANSACTION_COORDINATOR ->
          cluster.transactionalIds(applicationId).stream()
              .findFirst()
              .flatMap(id -> cluster.coordinator("__transaction_state", id));
      case KILL_GROUP_COORDINATOR -> cluster.coordinator("__consumer_offsets", applicationId);
      case KILL_LEADER -> cluster.leader(tokensTopic, partition);
      default -> Optional.empty();
    };
  }

  private void strikeNetwork(final Fault fault, final int broker, final int millis)
      throws InterruptedException {
    final NetworkRule.Where one = new NetworkRule.Where(broker, "");
    switch (fault) {
      case DELAY -> {
        note(fault, "all, by %d ms".formatted(millis));
        apply(
            new NetworkRule.Delay(NetworkRule.Where.EVERYWHERE, Duration.ofMillis(millis)),
            NETWORK_FAULT);
      }
      case DROP_CONNECTIONS -> {
        note(fault, "broker-" + broker);
        for (int i = 0; i < 4; i++) {
          cluster.cut(new NetworkRule.Drop(one));
          Thread.sleep(NETWORK_FAULT.dividedBy(4));
        }
      }
      case LOSE_COMMIT, LOSE_COMMIT_ANSWER -> {
        final AtomicInteger left = new AtomicInteger(LOST_COMMITS);
        final NetworkRule rule =
            new NetworkRule.LoseEndTxn(
                NetworkRule.Where.EVERYWHERE, fault == Fault.LOSE_COMMIT_ANSWER, left);
        note(fault, "%d commits".formatted(LOST_COMMITS));
        apply(rule, NETWORK_FAULT);
        if (left.get() >= LOST_COMMITS) {
          LOG.warn("{}: no commit came by", fault);
        }
      }
      default -> throw new IllegalArgumentException(fault + " is not of the network");
    }
  }

  private void apply(final NetworkRule rule, final Duration duration) throws InterruptedException {
    rules.add(rule);
    try {
      Thread.sleep(duration);
    } finally {
      rules.remove(rule);
    }
  }

  private Void fence() {
    final List<String> ids = cluster.transactionalIds(applicationId);
    if (!ids.isEmpty()) {
      note(Fault.FENCE_PRODUCER, ids.getFirst());
      Cluster.ask(cluster.admin().fenceProducers(List.of(ids.getFirst())).all());
    }
    return null;
  }
}
