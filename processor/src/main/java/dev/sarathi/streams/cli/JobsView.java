package dev.sarathi.streams.cli;

import dev.sarathi.schemas.JobProgress;
import dev.sarathi.schemas.SarathiSerdes;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** The topic of jobs as a table. Not thread-safe. */
final class JobsView implements AutoCloseable {
  private final Consumer<String, JobProgress> consumer;
  private final Map<String, JobProgress> newest = new HashMap<>();

  /**
   * @throws EnvironmentException if there is no such topic
   */
  JobsView(final Map<String, ?> client, final String topic) {
    final Map<String, Object> reading = new HashMap<>(client);
    reading.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
    reading.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);
    reading.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    reading.putIfAbsent(ConsumerConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, 15_000);
    consumer =
        new KafkaConsumer<>(
            reading, new StringDeserializer(), SarathiSerdes.jobProgress(client).deserializer());
    try {
      final List<TopicPartition> partitions =
          consumer.partitionsFor(topic).stream()
              .map(partition -> new TopicPartition(topic, partition.partition()))
              .toList();
      if (partitions.isEmpty()) {
        throw new EnvironmentException(
            "there is no topic "
                + topic
                + "; an application has to run on these brokers, with sarathi.jobs.topic");
      }
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
    } catch (RuntimeException e) {
      consumer.close();
      throw e;
    }
  }

  /** Reads all that is there. */
  void readToEnd() {
    final Map<TopicPartition, Long> ends = consumer.endOffsets(consumer.assignment());
    while (ends.entrySet().stream().anyMatch(e -> consumer.position(e.getKey()) < e.getValue())) {
      poll(Duration.ofMillis(100));
    }
  }

  void poll(final Duration limit) {
    for (final ConsumerRecord<String, JobProgress> record : consumer.poll(limit)) {
      if (record.value() == null) {
        newest.remove(record.key());
      } else {
        newest.put(record.key(), record.value());
      }
    }
  }

  /** Every job, those that started first at the top. */
  List<JobTotals> jobs() {
    final SortedMap<String, Map<String, JobProgress>> byJob = new TreeMap<>();
    newest.forEach(
        (key, part) -> byJob.computeIfAbsent(part.getJobId(), _ -> new HashMap<>()).put(key, part));
    return byJob.values().stream()
        .map(parts -> JobTotals.of(parts.values()))
        .sorted(Comparator.comparing(totals -> totals.started().orElse(Instant.MAX)))
        .toList();
  }

  @Override
  public void close() {
    consumer.close();
  }
}
