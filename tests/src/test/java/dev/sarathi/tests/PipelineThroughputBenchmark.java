package dev.sarathi.tests;

import dev.sarathi.runtime.PacedEngine;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.application.ApplicationOf;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * How many token records a second the pipeline writes when the model costs nothing, one token in
 * each, beside a bare Streams application that passes records of the same size through and writes
 * as many changelog records of the same size. Both have one stream thread, six partitions, exactly
 * once, and the client settings of the preset {@code throughput}.
 */
class PipelineThroughputBenchmark {
  private static final int PARTITIONS = 6;
  private static final int ROUNDS = Integer.getInteger("bench.rounds", 3);
  private static final Duration WARM_UP = Duration.ofSeconds(10);
  private static final Duration ROUND = Duration.ofSeconds(15);
  private static final int SEQUENCES = 64;
  private static final int PROMPTS = 12_000;
  private static final int TOKENS = 3_000;
  private static final int BARE_RECORDS = 36_000_000;
  private static final Bytes[] KEYS =
      IntStream.range(0, 1024)
          .mapToObj(i -> Bytes.wrap(ByteBuffer.allocate(24).putInt(i).array()))
          .toArray(Bytes[]::new);

  @TempDir private static Path directory;

  /** What a topic has grown by: records, transaction markers apart, and bytes of their values. */
  private record Written(double perSecond, int bytes) {}

  private record Run(Written tokens, Written changelog) {}

  @Test
  void shouldTellHowManyRecordsASecond() throws Exception {
    try (DevelopmentBroker broker =
        DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")))) {
      final String servers = broker.bootstrapServers();
      final double[] ratios = new double[ROUNDS];
      for (int round = 0; round < ROUNDS; round++) {
        final Run pipeline = pipeline(servers, "pipeline-" + round);
        print("pipeline", pipeline);
        final Run bare = bare(servers, "bare-" + round, pipeline);
        print("bare pass-through", bare);
        ratios[round] = pipeline.tokens.perSecond / bare.tokens.perSecond;
      }
      Arrays.sort(ratios);
      System.out.printf(
          Locale.ROOT, "ratio: least %.2f, median %.2f%n", ratios[0], ratios[ROUNDS / 2]);
    }
  }

  // ---- the application

  private static Run pipeline(final String servers, final String name) throws Exception {
    final Map<String, Object> properties = new HashMap<>();
    properties.put("bootstrap.servers", servers);
    properties.put("schema.registry.url", "mock://tests");
    properties.put("application.id", name);
    properties.put("state.dir", directory.resolve(name).toString());
    properties.put("sarathi.model", "no-model");
    properties.put("sarathi.preset", "throughput");
    properties.put("sarathi.output.max.tokens.per.record", 1);
    properties.put("sarathi.prompts.topic", name + "-prompts");
    properties.put("sarathi.tokens.topic", name + "-tokens");
    properties.put("sarathi.completions.topic", name + "-completions");
    properties.put("sarathi.dead.letters.topic", name + "-dead-letters");
    properties.put("sarathi.topics.partitions", PARTITIONS);
    try (Application application =
        ApplicationOf.engine(
            properties,
            config ->
                new PacedEngine(Duration.ZERO)
                    .start(PacedEngine.config().withMaxSequences(SEQUENCES)))) {
      while (!application.isRunning()) {
        Thread.sleep(50);
      }
      final List<PromptRequest> prompts = new ArrayList<>();
      for (int i = 0; i < PROMPTS; i++) {
        prompts.add(Stories.ofLength("story-" + i, 16, TOKENS));
      }
      Prompts.send(servers, name + "-prompts", prompts);
      Thread.sleep(WARM_UP);
      return run(
          servers, name + "-tokens", name + "-" + "generate-progress-changelog", PROMPTS * TOKENS);
    }
  }

  // ---- the bare application

  private static Run bare(final String servers, final String name, final Run like)
      throws Exception {
    createTopic(servers, name + "-in");
    createTopic(servers, name + "-out");
    final double perRecord = like.changelog.perSecond / like.tokens.perSecond;
    fill(servers, name + "-in", BARE_RECORDS, like.tokens.bytes);
    final Topology topology = new Topology();
    topology
        .addSource("in", new ByteArrayDeserializer(), new ByteArrayDeserializer(), name + "-in")
        .addProcessor("pass", () -> new Pass(perRecord, like.changelog.bytes), "in")
        .addStateStore(
            Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore("store"), Serdes.Bytes(), Serdes.ByteArray()),
            "pass")
        .addSink(
            "out", name + "-out", new ByteArraySerializer(), new ByteArraySerializer(), "pass");
    final Properties properties = new Properties();
    properties.put("bootstrap.servers", servers);
    properties.put("application.id", name);
    properties.put("state.dir", directory.resolve(name).toString());
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    properties.put("commit.interval.ms", 200);
    properties.put("producer.linger.ms", 50);
    properties.put("poll.ms", 10);
    properties.put("auto.offset.reset", "earliest");
    try (KafkaStreams streams = new KafkaStreams(topology, properties)) {
      streams.start();
      Thread.sleep(WARM_UP);
      return run(servers, name + "-out", name + "-store-changelog", BARE_RECORDS);
    }
  }

  /** Forwards each record, and writes to a store as often as it is told. */
  private static final class Pass implements Processor<byte[], byte[], byte[], byte[]> {
    private final double putsPerRecord;
    private final byte[] value;
    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<Bytes, byte[]> store;
    private double owed;
    private int puts;

    private Pass(final double putsPerRecord, final int bytes) {
      this.putsPerRecord = putsPerRecord;
      this.value = new byte[bytes];
    }

    @Override
    public void init(final ProcessorContext<byte[], byte[]> processorContext) {
      context = processorContext;
      store = context.getStateStore("store");
    }

    @Override
    public void process(final Record<byte[], byte[]> record) {
      context.forward(record);
      for (owed += putsPerRecord; owed >= 1; owed--) {
        store.put(KEYS[puts++ % KEYS.length], value);
      }
    }
  }

  private static void createTopic(final String servers, final String topic) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", servers))) {
      admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1))).all().get();
    }
  }

  private static void fill(
      final String servers, final String topic, final int records, final int bytes) {
    try (Producer<byte[], byte[]> producer =
        new KafkaProducer<>(
            Map.of("bootstrap.servers", servers, "linger.ms", 50, "batch.size", 1 << 18),
            new ByteArraySerializer(),
            new ByteArraySerializer())) {
      final byte[] value = new byte[bytes];
      for (int i = 0; i < records; i++) {
        producer.send(new ProducerRecord<>(topic, i % PARTITIONS, new byte[8], value));
      }
    }
  }

  // ---- what comes out

  private static Run run(
      final String servers, final String tokens, final String changelog, final long all)
      throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", servers))) {
      final long start = System.nanoTime();
      final Map<TopicPartition, Long> tokensBefore = ends(admin, tokens);
      final Map<TopicPartition, Long> changelogBefore = ends(admin, changelog);
      Thread.sleep(ROUND);
      final Map<TopicPartition, Long> tokensAfter = ends(admin, tokens);
      final Map<TopicPartition, Long> changelogAfter = ends(admin, changelog);
      final double seconds = (System.nanoTime() - start) / 1e9;
      if (tokensAfter.values().stream().mapToLong(end -> end).sum() >= all) {
        throw new IllegalStateException(
            "all %d records of %s were written before the round was over".formatted(all, tokens));
      }
      return new Run(
          written(servers, tokensBefore, tokensAfter, seconds),
          written(servers, changelogBefore, changelogAfter, seconds));
    }
  }

  private static Map<TopicPartition, Long> ends(final Admin admin, final String topic)
      throws Exception {
    final Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
    for (int i = 0; i < PARTITIONS; i++) {
      wanted.put(new TopicPartition(topic, i), OffsetSpec.latest());
    }
    final Map<TopicPartition, Long> ends = new HashMap<>();
    admin
        .listOffsets(wanted)
        .all()
        .get()
        .forEach((partition, offset) -> ends.put(partition, offset.offset()));
    return ends;
  }

  /** Reads it all once more, since markers take offsets too. */
  private static Written written(
      final String servers,
      final Map<TopicPartition, Long> from,
      final Map<TopicPartition, Long> to,
      final double seconds) {
    long records = 0;
    long bytes = 0;
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(
            Map.of("bootstrap.servers", servers, "max.poll.records", 100_000),
            new ByteArrayDeserializer(),
            new ByteArrayDeserializer())) {
      consumer.assign(from.keySet());
      from.forEach(consumer::seek);
      while (to.entrySet().stream()
          .anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
        for (final var record : consumer.poll(Duration.ofMillis(200))) {
          if (record.offset() < to.get(new TopicPartition(record.topic(), record.partition()))) {
            records++;
            bytes += record.value() == null ? 0 : record.value().length;
          }
        }
      }
    }
    return new Written(records / seconds, (int) (bytes / Math.max(1, records)));
  }

  private static void print(final String name, final Run run) {
    System.out.printf(
        Locale.ROOT,
        "%-18s %,9.0f token records/s of %d bytes, %,9.0f changelog records/s of %d bytes%n",
        name,
        run.tokens.perSecond,
        run.tokens.bytes,
        run.changelog.perSecond,
        run.changelog.bytes);
  }
}
