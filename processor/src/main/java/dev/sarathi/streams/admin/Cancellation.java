package dev.sarathi.streams.admin;

import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.streams.SarathiConfig;
import dev.sarathi.streams.application.PromptRequests;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Deserializer;

/**
 * Cancels a request by a record with a null value, and hears how it ended.
 *
 * <p>Threading: one thread owns it.
 */
public final class Cancellation implements AutoCloseable {
  private static final Duration POLL = Duration.ofMillis(100);

  private final SarathiConfig config;
  private final String id;
  private final String results;
  private final boolean tokens;
  private final Consumer<byte[], byte[]> consumer;

  /**
   * Begins to listen: whatever the request writes from now on is heard.
   *
   * @throws IllegalStateException naming the rights that it takes, if one is missing
   */
  public Cancellation(final SarathiConfig config, final String id) {
    this.config = config;
    this.id = id;
    this.tokens = !config.getString(SarathiConfig.TOKENS_TOPIC_CONFIG).isEmpty();
    this.results =
        config.getString(
            tokens ? SarathiConfig.TOKENS_TOPIC_CONFIG : SarathiConfig.COMPLETIONS_TOPIC_CONFIG);
    final Map<String, Object> properties = config.clients();
    properties.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
    properties.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);
    properties.remove(ConsumerConfig.GROUP_ID_CONFIG);
    consumer =
        new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    try {
      consumer.assign(
          consumer.partitionsFor(results).stream()
              .map(partition -> new TopicPartition(results, partition.partition()))
              .collect(Collectors.toSet()));
      consumer.seekToEnd(consumer.assignment());
      consumer.assignment().forEach(consumer::position);
    } catch (final KafkaException e) {
      consumer.close();
      throw Rights.explain(e, rights());
    }
  }

  private List<String> rights() {
    return List.of(
        "WRITE on topic " + config.getString(SarathiConfig.PROMPTS_TOPIC_CONFIG),
        "READ on topic " + results);
  }

  /**
   * The key that names a request: its id, or its record's key where the id was made from bytes that
   * are no text.
   */
  public static byte[] keyOf(final String id, final Optional<byte[]> recordKey) {
    return recordKey
        .filter(key -> PromptRequests.idOf(key).equals(id))
        .orElseGet(() -> id.getBytes(StandardCharsets.UTF_8));
  }

  /**
   * Sends the record.
   *
   * @param partition where the request is; where none is given, where its key belongs
   */
  public RecordMetadata send(final byte[] key, final Optional<Integer> partition)
      throws InterruptedException {
    final String prompts = config.getString(SarathiConfig.PROMPTS_TOPIC_CONFIG);
    try (Producer<byte[], byte[]> producer =
        new KafkaProducer<>(
            config.clients(), new ByteArraySerializer(), new ByteArraySerializer())) {
      return producer.send(new ProducerRecord<>(prompts, partition.orElse(null), key, null)).get();
    } catch (final ExecutionException e) {
      throw Rights.explain(
          new IllegalStateException(
              "the cancellation of " + id + " cannot be sent to " + prompts, e.getCause()),
          rights());
    }
  }

  /**
   * Waits for the request's end.
   *
   * @return how it ended; empty if it did not in time
   * @throws IllegalStateException naming the rights that it takes, if one is missing
   */
  public Optional<FinishReason> await(final Duration limit) {
    final byte[] key = id.getBytes(StandardCharsets.UTF_8);
    final long deadline = System.nanoTime() + limit.toNanos();
    try (Deserializer<TokenRecord> tokenRecords =
            SarathiSerdes.tokenRecord(config.clients()).deserializer();
        Deserializer<Completion> completions =
            SarathiSerdes.completion(config.clients()).deserializer()) {
      while (System.nanoTime() < deadline) {
        for (final ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
          if (!Arrays.equals(key, record.key())) {
            continue;
          }
          if (!tokens) {
            return Optional.of(completions.deserialize(results, record.value()).getFinishReason());
          }
          final TokenRecord part = tokenRecords.deserialize(results, record.value());
          if (part.getLast()) {
            return part.getFinishReason();
          }
        }
      }
    } catch (final KafkaException e) {
      throw Rights.explain(e, rights());
    }
    return Optional.empty();
  }

  @Override
  public void close() {
    consumer.close();
  }
}
