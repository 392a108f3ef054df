package dev.sarathi.tests;

import dev.sarathi.runtime.PacedEngine;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenRecord;
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
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.ToLongFunction;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * How long a token takes from the executor to a {@code read_committed} consumer, beside what a bare
 * transactional producer takes on the same broker: 1,000 tokens a second in both, ten every ten
 * milliseconds. The bare producer has one transaction after the other, each with all that is due;
 * the application runs with the preset {@code latency} and nothing else said.
 */
class PipelineLatencyBenchmark {
  private static final int SEQUENCES = 10;
  private static final Duration PACE = Duration.ofMillis(10);
  private static final int PARTITIONS = 6;
  private static final int ROUNDS = Integer.getInteger("bench.rounds", 3);
  private static final Duration WARM_UP = Duration.ofSeconds(10);
  private static final Duration ROUND = Duration.ofSeconds(20);

  /** About what a token record takes. */
  private static final int RECORD_BYTES = 120;

  @TempDir private static Path directory;

  @Test
  void shouldTellHowLongATokenTakes() throws Exception {
    try (DevelopmentBroker broker =
        DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")))) {
      final String servers = broker.bootstrapServers();
      createTopic(servers, "bare");
      final List<long[]> bare = new ArrayList<>();
      final List<long[]> pipeline = new ArrayList<>();
      for (int round = 0; round < ROUNDS; round++) {
        bare.add(bare(servers));
        pipeline.add(pipeline(servers, round));
        print("bare", bare.getLast());
        print("pipeline", pipeline.getLast());
      }
      final long[] ofBare = merged(bare);
      final long[] ofPipeline = merged(pipeline);
      print("bare, all rounds", ofBare);
      print("pipeline, all rounds", ofPipeline);
      System.out.printf(
          Locale.ROOT,
          "ratio: p50 %.2f, p99 %.2f%n",
          (double) at(ofPipeline, 0.5) / at(ofBare, 0.5),
          (double) at(ofPipeline, 0.99) / at(ofBare, 0.99));
    }
  }

  private static void createTopic(final String servers, final String topic) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", servers))) {
      admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1))).all().get();
    }
  }

  // ---- the bare transactional producer

  private static long[] bare(final String servers) throws Exception {
    final long end = System.nanoTime() + WARM_UP.plus(ROUND).toNanos();
    final Thread producer =
        Thread.ofPlatform().name("bare-producer").start(() -> produce(servers, end));
    final long[] latencies =
        latencies(
            servers,
            "bare",
            () -> System.nanoTime() < end,
            record -> ByteBuffer.wrap(record.value()).getLong());
    producer.join();
    return latencies;
  }

  private static void produce(final String servers, final long end) {
    try (Producer<byte[], byte[]> producer =
        new KafkaProducer<>(
            Map.of("bootstrap.servers", servers, "transactional.id", "bare", "linger.ms", 0),
            new ByteArraySerializer(),
            new ByteArraySerializer())) {
      producer.initTransactions();
      long due = System.nanoTime();
      while (System.nanoTime() < end) {
        while (System.nanoTime() < due) {
          LockSupport.parkNanos(due - System.nanoTime());
        }
        producer.beginTransaction();
        for (; due <= System.nanoTime(); due += PACE.toNanos()) {
          for (int i = 0; i < SEQUENCES; i++) {
            final byte[] value = ByteBuffer.allocate(RECORD_BYTES).putLong(due).array();
            producer.send(new ProducerRecord<>("bare", i % PARTITIONS, null, value));
          }
        }
        producer.commitTransaction();
      }
    }
  }

  // ---- the application

  private static long[] pipeline(final String servers, final int round) throws Exception {
    final String name = "pipeline-" + round;
    final PacedEngine paced = new PacedEngine(PACE);
    final Map<String, Object> properties = new HashMap<>();
    properties.put("bootstrap.servers", servers);
    properties.put("schema.registry.url", "mock://tests");
    properties.put("application.id", name);
    properties.put("state.dir", directory.resolve(name).toString());
    properties.put("sarathi.model", "no-model");
    properties.put("sarathi.preset", "latency");
    properties.put("sarathi.prompts.topic", name + "-prompts");
    properties.put("sarathi.tokens.topic", name + "-tokens");
    properties.put("sarathi.completions.topic", name + "-completions");
    properties.put("sarathi.dead.letters.topic", name + "-dead-letters");
    properties.put("sarathi.topics.partitions", PARTITIONS);
    try (Application application =
        ApplicationOf.engine(properties, config -> paced.start(PacedEngine.config()))) {
      while (!application.isRunning()) {
        Thread.sleep(50);
      }
      final List<PromptRequest> prompts = new ArrayList<>();
      final int tokens = (int) (WARM_UP.plus(ROUND).toMillis() / PACE.toMillis()) - 100;
      for (int i = 0; i < SEQUENCES; i++) {
        prompts.add(Stories.ofLength("story-" + i, 16, tokens));
      }
      Prompts.send(servers, name + "-prompts", prompts);
      final long end = System.nanoTime() + WARM_UP.plus(ROUND).toNanos();
      final var deserializer =
          SarathiSerdes.tokenRecord(Map.of("schema.registry.url", "mock://tests")).deserializer();
      return latencies(
          servers,
          name + "-tokens",
          () -> System.nanoTime() < end,
          (ConsumerRecord<byte[], byte[]> record, Consumer<Long> each) -> {
            final TokenRecord value = deserializer.deserialize("", record.value());
            value.getTokenIds().forEach(token -> each.accept(paced.emittedAt(token)));
          });
    }
  }

  // ---- the consumer

  private interface Emissions {
    void of(ConsumerRecord<byte[], byte[]> record, Consumer<Long> each);
  }

  private static long[] latencies(
      final String servers,
      final String topic,
      final BooleanSupplier goOn,
      final ToLongFunction<ConsumerRecord<byte[], byte[]>> emission) {
    return latencies(
        servers, topic, goOn, (record, each) -> each.accept(emission.applyAsLong(record)));
  }

  private static long[] latencies(
      final String servers,
      final String topic,
      final BooleanSupplier goOn,
      final Emissions emissions) {
    final List<Long> latencies = new ArrayList<>();
    final long from = System.nanoTime() + WARM_UP.toNanos();
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(
            Map.of("bootstrap.servers", servers, "isolation.level", "read_committed"),
            new ByteArrayDeserializer(),
            new ByteArrayDeserializer())) {
      consumer.assign(
          consumer.partitionsFor(topic).stream()
              .map(partition -> new TopicPartition(topic, partition.partition()))
              .toList());
      consumer.seekToEnd(consumer.assignment());
      consumer.assignment().forEach(consumer::position);
      while (goOn.getAsBoolean()) {
        final var records = consumer.poll(Duration.ofMillis(100));
        final long now = System.nanoTime();
        if (now >= from) {
          records.forEach(record -> emissions.of(record, emitted -> latencies.add(now - emitted)));
        }
      }
    }
    return latencies.stream().mapToLong(Long::longValue).sorted().toArray();
  }

  // ---- figures

  private static long[] merged(final List<long[]> rounds) {
    return rounds.stream().flatMapToLong(Arrays::stream).sorted().toArray();
  }

  private static long at(final long[] sorted, final double share) {
    return sorted[(int) Math.min(sorted.length - 1, share * sorted.length)];
  }

  private static void print(final String name, final long[] sorted) {
    System.out.printf(
        Locale.ROOT,
        "%-22s %,8d tokens, milliseconds: p50 %6.1f, p90 %6.1f, p99 %6.1f, longest %6.1f%n",
        name,
        sorted.length,
        at(sorted, 0.5) / 1e6,
        at(sorted, 0.9) / 1e6,
        at(sorted, 0.99) / 1e6,
        sorted[sorted.length - 1] / 1e6);
  }
}
