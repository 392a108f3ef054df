package dev.sarathi.streams.cli;

import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenRecord;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Sends prompts and reads their tokens as any client of the topics does: committed records alone.
 * Not thread-safe.
 */
final class StoryExchange implements AutoCloseable {
  private final Producer<String, PromptRequest> producer;
  private final Consumer<String, TokenRecord> consumer;
  private final Map<String, Story> sent = new HashMap<>();

  /** Reads from the beginning of the tokens topic, which must be there. */
  StoryExchange(final Map<String, ?> client) {
    producer =
        new KafkaProducer<>(
            new HashMap<>(client),
            new StringSerializer(),
            SarathiSerdes.promptRequest(client).serializer());
    final Map<String, Object> reading = new HashMap<>(client);
    reading.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
    consumer =
        new KafkaConsumer<>(
            reading, new StringDeserializer(), SarathiSerdes.tokenRecord(client).deserializer());
    final List<TopicPartition> partitions =
        consumer.partitionsFor("tokens").stream()
            .map(partition -> new TopicPartition(partition.topic(), partition.partition()))
            .toList();
    consumer.assign(partitions);
    consumer.seekToBeginning(partitions);
  }

  /** Returns once the brokers have all of them. */
  void send(final Collection<Story> stories) throws InterruptedException {
    final List<Future<RecordMetadata>> stored = new ArrayList<>();
    for (Story story : stories) {
      sent.put(story.name(), story);
      story.sent(System.nanoTime());
      stored.add(producer.send(new ProducerRecord<>("prompts", story.name(), story.request())));
    }
    for (Future<RecordMetadata> record : stored) {
      try {
        record.get();
      } catch (ExecutionException e) {
        throw new IllegalStateException("a prompt could not be stored", e.getCause());
      }
    }
  }

  /** Hands new records to their stories; returns at the first, or after {@code limit}. */
  void poll(final Duration limit) {
    final var records = consumer.poll(limit);
    final long time = System.nanoTime();
    for (ConsumerRecord<String, TokenRecord> record : records) {
      sent.get(record.key()).add(record.value(), time);
    }
  }

  @Override
  public void close() {
    producer.close(Duration.ZERO);
    consumer.close();
  }
}
