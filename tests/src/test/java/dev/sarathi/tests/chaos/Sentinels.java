package dev.sarathi.tests.chaos;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Two records behind everything else in each partition, one of them in a transaction. A {@code
 * read_committed} consumer sees them only if every transaction before them has ended.
 */
final class Sentinels {
  static final String PREFIX = "sentinel-";

  private final List<String> sent = new ArrayList<>();

  void send(final String bootstrapServers, final List<TopicPartition> partitions) {
    final Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", bootstrapServers);
    try (KafkaProducer<String, byte[]> plain = producer(config)) {
      partitions.forEach(partition -> send(plain, "plain-", partition));
    }
    config.put("transactional.id", PREFIX + UUID.randomUUID());
    try (KafkaProducer<String, byte[]> transactional = producer(config)) {
      transactional.initTransactions();
      transactional.beginTransaction();
      partitions.forEach(partition -> send(transactional, "transactional-", partition));
      transactional.commitTransaction();
    }
  }

  private static KafkaProducer<String, byte[]> producer(final Map<String, Object> config) {
    return new KafkaProducer<>(config, new StringSerializer(), new ByteArraySerializer());
  }

  private void send(
      final KafkaProducer<String, byte[]> producer,
      final String kind,
      final TopicPartition partition) {
    final String key = PREFIX + kind + partition;
    sent.add(key);
    producer.send(new ProducerRecord<>(partition.topic(), partition.partition(), key, new byte[0]));
  }

  /** Waits for all of them, and tells of those that did not come. */
  List<Anomaly> await(final OutputLog log, final Duration limit) throws InterruptedException {
    final long deadline = System.nanoTime() + limit.toNanos();
    while (!log.sentinels().containsAll(sent) && System.nanoTime() < deadline) {
      Thread.sleep(100);
    }
    return sent.stream()
        .filter(key -> !log.sentinels().contains(key))
        .map(
            key ->
                new Anomaly(
                    Anomaly.Kind.DANGLING_TRANSACTION,
                    key.substring(PREFIX.length()),
                    "a record behind everything else is not visible after %s".formatted(limit)))
        .toList();
  }
}
