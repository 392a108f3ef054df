package dev.sarathi.streams.replay;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads what is committed of a topic, in nobody's group. */
final class Topic {
  private static final Duration POLL = Duration.ofMillis(200);

  private Topic() {}

  /** A consumer of every partition, at the first record. */
  static Consumer<byte[], byte[]> open(final Map<String, Object> client, final String topic) {
    final Map<String, Object> properties = new HashMap<>(client);
    properties.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
    properties.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);
    properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    properties.remove(ConsumerConfig.GROUP_ID_CONFIG);
    final Consumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    final Set<TopicPartition> partitions =
        consumer.partitionsFor(topic).stream()
            .map(partition -> new TopicPartition(topic, partition.partition()))
            .collect(Collectors.toSet());
    if (partitions.isEmpty()) {
      consumer.close();
      throw new IllegalStateException("there is no topic " + topic);
    }
    consumer.assign(partitions);
    consumer.seekToBeginning(partitions);
    return consumer;
  }

  /** Hands over the records between two places, each partition's in order. */
  static void read(
      final Map<String, Object> client,
      final String topic,
      final Place from,
      final Place to,
      final java.util.function.Consumer<ConsumerRecord<byte[], byte[]>> reader) {
    try (Consumer<byte[], byte[]> consumer = open(client, topic)) {
      final Set<TopicPartition> partitions = consumer.assignment();
      final Map<TopicPartition, Long> first = consumer.beginningOffsets(partitions);
      final Map<TopicPartition, Long> last = new HashMap<>(consumer.endOffsets(partitions));
      to.offsets(consumer, partitions)
          .forEach((partition, at) -> last.merge(partition, at, Math::min));
      from.offsets(consumer, partitions)
          .forEach(
              (partition, at) ->
                  consumer.seek(
                      partition,
                      Math.clamp(
                          at,
                          first.get(partition),
                          Math.max(first.get(partition), last.get(partition)))));
      // A consumer passes transaction markers as it polls, so its position tells of the end.
      while (!isPast(consumer, last)) {
        final ConsumerRecords<byte[], byte[]> records = consumer.poll(POLL);
        for (final ConsumerRecord<byte[], byte[]> record : records) {
          final TopicPartition partition = new TopicPartition(record.topic(), record.partition());
          if (record.offset() < last.get(partition)) {
            reader.accept(record);
          }
        }
      }
    }
  }

  private static boolean isPast(
      final Consumer<?, ?> consumer, final Map<TopicPartition, Long> ends) {
    return ends.entrySet().stream()
        .allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
  }
}
