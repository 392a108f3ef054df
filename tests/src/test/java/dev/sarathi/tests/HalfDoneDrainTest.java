package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.streams.Generation;
import dev.sarathi.streams.GenerationResult;
import dev.sarathi.streams.Routed;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaClientSupplier;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.LogAndContinueProcessingExceptionHandler;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.internals.DefaultKafkaClientSupplier;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A drain that fails half-way commits nothing of itself, even where the application tells Streams
 * to log exceptions and go on.
 */
class HalfDoneDrainTest {
  private static final int REQUESTS = 4;
  private static final int TOKENS = 40;

  private static DevelopmentBroker broker;
  private static GenerationEngine engine;

  @TempDir private static Path directory;

  @BeforeAll
  static void start() {
    broker = DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")));
    engine = GenerationEngine.start(EngineConfig.of(Stories.MODEL).withThreads(1));
  }

  @AfterAll
  static void stop() {
    engine.close();
    broker.close();
  }

  @Test
  void shouldCommitNothingOfADrainWhoseThirdRecordCannotBeSerialised() throws Exception {
    // given: once, the third token record of a drain cannot be made
    final AtomicInteger made = new AtomicInteger();
    final AtomicBoolean failed = new AtomicBoolean();
    final StringSerializer serializer = new StringSerializer();

    // when
    final List<ConsumerRecord<String, String>> records =
        run(
            "serializer",
            result -> {
              if (made.incrementAndGet() == 3 && failed.compareAndSet(false, true)) {
                throw new IllegalStateException("this record cannot be serialised");
              }
              return serializer.serialize("out", line(result));
            },
            new DefaultKafkaClientSupplier());

    // then
    assertThat(failed).isTrue();
    assertEveryTokenOnce(records);
  }

  @Test
  void shouldCommitNothingOfADrainInWhichTheProducerTimesOut() throws Exception {
    // given: once, the third send to the output times out
    final AtomicInteger sent = new AtomicInteger();
    final AtomicBoolean failed = new AtomicBoolean();
    final StringSerializer serializer = new StringSerializer();

    // when
    final List<ConsumerRecord<String, String>> records =
        run(
            "producer",
            result -> serializer.serialize("out", line(result)),
            new DefaultKafkaClientSupplier() {
              @Override
              public Producer<byte[], byte[]> getProducer(final Map<String, Object> config) {
                return new KafkaProducer<>(
                    config, new ByteArraySerializer(), new ByteArraySerializer()) {
                  @Override
                  public Future<RecordMetadata> send(
                      final ProducerRecord<byte[], byte[]> record, final Callback callback) {
                    if (record.topic().equals("producer-out")
                        && sent.incrementAndGet() == 3
                        && failed.compareAndSet(false, true)) {
                      throw new TimeoutException("no room in the buffer");
                    }
                    return super.send(record, callback);
                  }
                };
              }
            });

    // then
    assertThat(failed).isTrue();
    assertEveryTokenOnce(records);
  }

  private static String line(final GenerationResult.Tokens<String, String> part) {
    return "%d %d %s"
        .formatted(
            part.index(),
            part.tokens().size(),
            part.finish().map(finish -> finish.reason().name()).orElse("-"));
  }

  private static List<ConsumerRecord<String, String>> run(
      final String name,
      final Function<GenerationResult.Tokens<String, String>, byte[]> serialise,
      final KafkaClientSupplier clients)
      throws Exception {
    final String in = name + "-in";
    final String out = name + "-out";
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker.bootstrapServers()))) {
      admin
          .createTopics(List.of(new NewTopic(in, 1, (short) 1), new NewTopic(out, 1, (short) 1)))
          .all()
          .get();
    }
    final Topology topology = new Topology();
    topology
        .addSource("source", new StringDeserializer(), new StringDeserializer(), in)
        .addProcessor(
            "generate",
            Generation.<String, String>using(engine)
                .id((key, value) -> key)
                .request(
                    (key, value) ->
                        GenerationRequest.of(key, value).withIgnoreEos(true).withMaxTokens(TOKENS))
                .carrying(Serdes.String(), Serdes.String())
                .<byte[]>results(result -> tokensOnly(result, serialise))
                .as("generate"),
            "source")
        .addSink("sink", out, new StringSerializer(), new ByteArraySerializer(), "generate");
    final Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, name);
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, broker.bootstrapServers());
    properties.put(StreamsConfig.STATE_DIR_CONFIG, directory.resolve(name).toString());
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    properties.put(StreamsConfig.POLL_MS_CONFIG, 20);
    properties.put(
        StreamsConfig.PROCESSING_EXCEPTION_HANDLER_CLASS_CONFIG,
        LogAndContinueProcessingExceptionHandler.class);
    try (KafkaStreams streams = new KafkaStreams(topology, properties, clients);
        Producer<String, String> producer =
            new KafkaProducer<>(
                Map.of("bootstrap.servers", broker.bootstrapServers()),
                new StringSerializer(),
                new StringSerializer())) {
      streams.start();
      for (int i = 0; i < REQUESTS; i++) {
        producer.send(new ProducerRecord<>(in, "story-" + i, "Once upon a time"));
      }
      return readUntilAllEnded(out);
    }
  }

  private static List<Routed<String, byte[]>> tokensOnly(
      final GenerationResult<String, String> result,
      final Function<GenerationResult.Tokens<String, String>, byte[]> serialise) {
    return result instanceof GenerationResult.Tokens<String, String> part
        ? List.of(
            new Routed<>(
                new Record<>(part.id(), serialise.apply(part), part.emittedAt().toEpochMilli()),
                Optional.empty()))
        : List.of();
  }

  private static List<ConsumerRecord<String, String>> readUntilAllEnded(final String topic) {
    final List<ConsumerRecord<String, String>> records = new ArrayList<>();
    try (Consumer<String, String> consumer =
        new KafkaConsumer<>(
            Map.of(
                "bootstrap.servers",
                broker.bootstrapServers(),
                "isolation.level",
                "read_committed"),
            new StringDeserializer(),
            new StringDeserializer())) {
      consumer.assign(List.of(new TopicPartition(topic, 0)));
      consumer.seekToBeginning(consumer.assignment());
      final long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
      while (records.stream().filter(record -> record.value().endsWith("LENGTH")).count()
          < REQUESTS) {
        assertThat(System.nanoTime()).as("records by now: %s", records).isLessThan(deadline);
        consumer.poll(Duration.ofMillis(100)).forEach(records::add);
      }
      consumer.poll(Duration.ofMillis(500)).forEach(records::add);
    }
    return records;
  }

  private static void assertEveryTokenOnce(final List<ConsumerRecord<String, String>> records) {
    for (int i = 0; i < REQUESTS; i++) {
      final String id = "story-" + i;
      int next = 0;
      for (final ConsumerRecord<String, String> record : records) {
        if (record.key().equals(id)) {
          final String[] fields = record.value().split(" ");
          assertThat(Integer.parseInt(fields[0])).as("index in %s", id).isEqualTo(next);
          next += Integer.parseInt(fields[1]);
        }
      }
      assertThat(next).as("tokens of %s", id).isEqualTo(TOKENS);
    }
  }
}
