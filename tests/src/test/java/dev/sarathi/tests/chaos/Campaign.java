package dev.sarathi.tests.chaos;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.tests.Oracle;
import dev.sarathi.tests.Stories;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Runs one phase after the other on one cluster. */
final class Campaign {
  private static final Logger LOG = LoggerFactory.getLogger(Campaign.class);

  private static final int FIRST_TOKENS = 200;
  private static final Duration QUIET_LIMIT = Duration.ofSeconds(180);
  private static final Duration SENTINEL_LIMIT = Duration.ofSeconds(45);

  /**
   * What to do.
   *
   * @param duration of load and faults together, over all phases
   * @param interval between faults, on average
   * @param concurrency how many requests are under way
   */
  record Plan(
      Duration duration,
      long seed,
      int instances,
      int brokers,
      List<String> protocols,
      Duration interval,
      int concurrency) {}

  private final Plan plan;
  private final Path directory;
  private final List<NetworkRule> rules = new CopyOnWriteArrayList<>();
  private final long origin = System.nanoTime();

  /**
   * @param directory for data and logs
   */
  Campaign(final Plan plan, final Path directory) {
    this.plan = plan;
    this.directory = directory;
  }

  List<PhaseResult> run() throws InterruptedException {
    final List<PhaseResult> results = new ArrayList<>();
    final Deck deck = new Deck(possibleFaults(), plan.seed());
    try (Oracle oracle =
            new Oracle(
                EngineConfig.of(Stories.MODEL)
                    .withMaxSequences(4)
                    .withTokenBudget(96)
                    .withThreads(2));
        Cluster cluster = Cluster.start(plan.brokers(), directory, rules)) {
      LOG.info("{} brokers are up", plan.brokers());
      for (final String protocol : plan.protocols()) {
        results.add(run(cluster, oracle, new Phase(protocol), deck, results.size()));
      }
    }
    return results;
  }

  /** Two brokers of three are a majority; without the right to mount, no disk is filled. */
  private List<Fault> possibleFaults() {
    final boolean disks = StateDisk.canBeBounded(directory.resolve("disk"));
    if (!disks) {
      LOG.warn("{} is left out: no disk can be mounted here (it takes root)", Fault.FILL_DISK);
    }
    return Arrays.stream(Fault.values())
        .filter(fault -> disks || fault != Fault.FILL_DISK)
        .filter(fault -> plan.brokers() >= 3 || !fault.hitsBroker())
        .toList();
  }

  private PhaseResult run(
      final Cluster cluster,
      final Oracle oracle,
      final Phase phase,
      final Deck deck,
      final int number)
      throws InterruptedException {
    final long start = System.nanoTime();
    final long deadline = start + plan.duration().dividedBy(plan.protocols().size()).toNanos();
    final long seed = plan.seed() * 1_000 + number;
    cluster.createTopics(phase.topics(), Phase.PARTITIONS);
    try (OutputLog log = new OutputLog(cluster.bootstrapServers(), phase);
        Fleet fleet =
            new Fleet(
                directory.resolve(phase.protocol()),
                phase.settings(cluster.proxiedServers(), Stories.MODEL.toString()),
                plan.instances())) {
      final Load load =
          new Load(phase, cluster.bootstrapServers(), log, oracle, seed, plan.concurrency());
      final Thread sender =
          Thread.ofPlatform().name("load").start(() -> runUninterrupted(load, deadline));
      awaitTokens(log, deadline);
      final List<Struck> faults =
          new Nemesis(cluster, fleet, rules, phase, deck, seed, log::committedTokens, origin)
              .run(deadline, plan.interval());
      sender.join();
      awaitQuiet(load);
      final List<Anomaly> anomalies = new ArrayList<>();
      final Sentinels sentinels = new Sentinels();
      sentinels.send(cluster.bootstrapServers(), OutputLog.partitions(phase));
      anomalies.addAll(sentinels.await(log, SENTINEL_LIMIT));
      final double seconds = (System.nanoTime() - start) / 1e9;
      fleet.stop();
      log.stop();
      anomalies.addAll(log.anomalies());
      anomalies.addAll(Verifier.verify(load.expectations(), log.tokens(), log.completions()));
      return new PhaseResult(
          phase.protocol(),
          load.requests(),
          load.cancelled(),
          load.repeated(),
          log.committedTokens(),
          log.records(),
          uncommittedRecords(cluster, phase) - log.records(),
          resumedAboveZero(log),
          fleet.instances().stream().mapToLong(Instance::resumptions).sum(),
          totals(fleet),
          fleet.restarts(),
          seconds,
          faults,
          anomalies);
    }
  }

  private static void runUninterrupted(final Load load, final long deadline) {
    try {
      load.run(deadline);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Faults begin when there is something to break. */
  private static void awaitTokens(final OutputLog log, final long deadline)
      throws InterruptedException {
    while (log.committedTokens() < FIRST_TOKENS && System.nanoTime() < deadline) {
      Thread.sleep(100);
    }
  }

  private static void awaitQuiet(final Load load) throws InterruptedException {
    final long limit = System.nanoTime() + QUIET_LIMIT.toNanos();
    while (!load.unanswered().isEmpty() && System.nanoTime() < limit) {
      Thread.sleep(200);
    }
    LOG.info("quiet: {} of {} requests unanswered", load.unanswered().size(), load.requests());
  }

  private static long resumedAboveZero(final OutputLog log) {
    long resumed = 0;
    for (final List<Seen.Tokens> records : log.tokens().values()) {
      final Map<Integer, Integer> attempts = new HashMap<>();
      for (final Seen.Tokens record : records) {
        final Integer before = attempts.put(record.choice(), record.attempt());
        if (before != null && before < record.attempt() && record.index() > 0) {
          resumed++;
        }
      }
    }
    return resumed;
  }

  private static Map<String, Long> totals(final Fleet fleet) {
    final Map<String, Long> totals = new HashMap<>();
    fleet.instances().stream()
        .map(Instance::totals)
        .forEach(some -> some.forEach((name, value) -> totals.merge(name, value, Long::sum)));
    return totals;
  }

  /** Token records of aborted transactions among them. */
  private static long uncommittedRecords(final Cluster cluster, final Phase phase) {
    long records = 0;
    try (Consumer<String, byte[]> consumer =
        new KafkaConsumer<>(
            Map.of("bootstrap.servers", cluster.bootstrapServers()),
            new StringDeserializer(),
            new ByteArrayDeserializer())) {
      final List<TopicPartition> partitions =
          OutputLog.partitions(phase).stream()
              .filter(partition -> partition.topic().equals(phase.tokensTopic()))
              .toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      final Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      final long limit = System.nanoTime() + Duration.ofSeconds(60).toNanos();
      while (System.nanoTime() < limit
          && ends.entrySet().stream().anyMatch(e -> consumer.position(e.getKey()) < e.getValue())) {
        for (final ConsumerRecord<String, byte[]> record : consumer.poll(Duration.ofMillis(200))) {
          records += record.key().startsWith(Sentinels.PREFIX) ? 0 : 1;
        }
      }
    }
    return records;
  }
}
