package dev.sarathi.streams.cli;

import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Sends prompts and reads completions as any client of the topics does: committed records alone.
 *
 * <p>Threading: one thread; the producer's reports a failure, which the next call throws.
 */
final class BatchExchange implements AutoCloseable {
  private final String prompts;
  private final Producer<String, PromptRequest> producer;
  private final Consumer<String, Completion> consumer;
  private final List<TopicPartition> partitions;
  private final AtomicReference<Exception> failure = new AtomicReference<>();

  /**
   * @throws EnvironmentException if there are no such topics
   */
  BatchExchange(final Map<String, ?> client, final String prompts, final String completions) {
    this.prompts = prompts;
    final Map<String, Object> writing = new HashMap<>(client);
    writing.putIfAbsent(ProducerConfig.LINGER_MS_CONFIG, 20);
    producer =
        new KafkaProducer<>(
            writing, new StringSerializer(), SarathiSerdes.promptRequest(client).serializer());
    final Map<String, Object> reading = new HashMap<>(client);
    reading.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
    reading.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);
    reading.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    consumer =
        new KafkaConsumer<>(
            reading, new StringDeserializer(), SarathiSerdes.completion(client).deserializer());
    try {
      require(prompts);
      partitions = require(completions);
      consumer.assign(partitions);
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  private List<TopicPartition> require(final String topic) {
    final List<TopicPartition> found =
        consumer.partitionsFor(topic).stream()
            .map(partition -> new TopicPartition(topic, partition.partition()))
            .sorted(Comparator.comparingInt(TopicPartition::partition))
            .toList();
    if (found.isEmpty()) {
      throw new EnvironmentException(
          "there is no topic "
              + topic
              + "; an application has to run on these brokers (--application names its properties)");
    }
    return found;
  }

  /** Where the next completions will be, by partition. */
  List<Long> ends() {
    final Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
    return partitions.stream().map(ends::get).toList();
  }

  /** Where the completions since a time are, by partition. */
  List<Long> since(final Instant time) {
    final List<Long> ends = ends();
    final Map<TopicPartition, OffsetAndTimestamp> found =
        consumer.offsetsForTimes(
            partitions.stream()
                .collect(Collectors.toMap(partition -> partition, _ -> time.toEpochMilli())));
    return IntStream.range(0, partitions.size())
        .mapToObj(
            i ->
                Optional.ofNullable(found.get(partitions.get(i)))
                    .map(OffsetAndTimestamp::offset)
                    .orElse(ends.get(i)))
        .toList();
  }

  /** Reads from these offsets on; from the beginning of partitions that have none. */
  void seek(final List<Long> offsets) {
    consumer.seekToBeginning(partitions);
    for (int i = 0; i < Math.min(offsets.size(), partitions.size()); i++) {
      consumer.seek(partitions.get(i), offsets.get(i));
    }
  }

  /** Whether all is read up to these offsets. */
  boolean hasRead(final List<Long> ends) {
    for (int i = 0; i < partitions.size(); i++) {
      if (consumer.position(partitions.get(i)) < ends.get(i)) {
        return false;
      }
    }
    return true;
  }

  void send(final PromptRequest request) {
    rethrow();
    producer.send(
        new ProducerRecord<>(prompts, request.getId().orElseThrow(), request),
        (_, e) -> {
          if (e != null) {
            failure.compareAndSet(null, e);
          }
        });
  }

  List<Completion> poll(final Duration limit) {
    rethrow();
    final List<Completion> completions = new ArrayList<>();
    for (final ConsumerRecord<String, Completion> record : consumer.poll(limit)) {
      if (record.value() != null) {
        completions.add(record.value());
      }
    }
    return completions;
  }

  private void rethrow() {
    if (failure.get() != null) {
      throw new IllegalStateException("a prompt could not be stored", failure.get());
    }
  }

  @Override
  public void close() {
    producer.close(Duration.ZERO);
    consumer.close();
  }
}
