package dev.sarathi.examples;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.UUID;
import java.util.function.Function;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;

/** The topology of an example on a broker, with the bundled model, as text of whole records. */
public final class RunningExample implements AutoCloseable {
  public static final Path MODEL = Path.of("../models/storyteller");
  private static final int PARTITIONS = 2;
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  private final DevelopmentBroker broker;
  private final GenerationEngine engine;
  private final KafkaStreams streams;
  private final KafkaProducer<String, String> producer;

  public RunningExample(
      final Function<GenerationEngine, Topology> topology,
      final Path directory,
      final String... topics)
      throws Exception {
    broker = DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")));
    final Map<String, Object> client =
        Map.of(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, broker.bootstrapServers());
    try (Admin admin = Admin.create(client)) {
      admin
          .createTopics(
              Stream.of(topics)
                  .map(
                      topic ->
                          new NewTopic(topic, PARTITIONS, (short) 1)
                              .configs(
                                  Map.of(
                                      TopicConfig.CLEANUP_POLICY_CONFIG,
                                      topic.equals("history") ? "compact" : "delete")))
                  .toList())
          .all()
          .get();
    }
    engine = GenerationEngine.start(EngineConfig.of(MODEL));
    producer = new KafkaProducer<>(client, new StringSerializer(), new StringSerializer());
    final Properties settings = ExampleApplication.settings("example", broker.bootstrapServers());
    settings.put(StreamsConfig.STATE_DIR_CONFIG, directory.resolve("state").toString());
    streams = new KafkaStreams(topology.apply(engine), settings);
    streams.start();
  }

  public void send(final String topic, final String key, final String value) throws Exception {
    producer.send(new ProducerRecord<>(topic, key, value)).get();
  }

  /** The first committed records of a topic. */
  public List<ConsumerRecord<String, String>> read(final String topic, final int count) {
    final Map<String, Object> settings =
        Map.of(
            ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG,
            broker.bootstrapServers(),
            ConsumerConfig.GROUP_ID_CONFIG,
            UUID.randomUUID().toString(),
            ConsumerConfig.AUTO_OFFSET_RESET_CONFIG,
            "earliest",
            ConsumerConfig.ISOLATION_LEVEL_CONFIG,
            "read_committed");
    final List<ConsumerRecord<String, String>> records = new ArrayList<>();
    try (KafkaConsumer<String, String> consumer =
        new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
      consumer.subscribe(List.of(topic));
      final long deadline = System.nanoTime() + PATIENCE.toNanos();
      while (records.size() < count) {
        if (System.nanoTime() > deadline) {
          throw new AssertionError(
              "%d of %d records of %s after %s: %s"
                  .formatted(records.size(), count, topic, PATIENCE, records));
        }
        consumer.poll(Duration.ofMillis(100)).forEach(records::add);
      }
    }
    return records;
  }

  @Override
  public void close() {
    streams.close();
    producer.close();
    engine.close();
    broker.close();
  }
}
