package dev.sarathi.streams.admin;

import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.streams.Origin;
import dev.sarathi.streams.application.PromptRequests;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Deserializer;

/**
 * A record of the dead letters.
 *
 * @param record as it lies there
 * @param id of the request, as far as it can be told
 */
public record DeadLetter(ConsumerRecord<byte[], byte[]> record, String id) {
  private static final String ERRORS = "__streams.errors.";

  static DeadLetter of(
      final ConsumerRecord<byte[], byte[]> record, final Deserializer<PromptRequest> deserializer) {
    final DeadLetter nameless = new DeadLetter(record, "");
    String id;
    try {
      id =
          PromptRequests.idOf(
              deserializer.deserialize(record.topic(), record.headers(), record.value()),
              record.key(),
              nameless.error("topic").orElse(record.topic()),
              nameless.error("partition").map(Integer::valueOf).orElse(record.partition()),
              nameless.error("offset").map(Long::valueOf).orElse(record.offset()));
    } catch (final RuntimeException e) {
      // What cannot be decoded has no field; its key is all that names it.
      id = record.key() == null ? "" : PromptRequests.idOf(record.key());
    }
    return new DeadLetter(record, id);
  }

  /** The class of the exception that sent it here. */
  public String errorClass() {
    return error("exception").orElse("");
  }

  /** What that exception said. */
  public String message() {
    return error("message").orElse("");
  }

  /** Where it lies: {@code topic-partition-offset}. */
  public String place() {
    return "%s-%d-%d".formatted(record.topic(), record.partition(), record.offset());
  }

  /** The partition that it came from, if that was one of {@code topic}. */
  Optional<Integer> partitionOf(final String topic) {
    return error("partition")
        .filter(partition -> error("topic").filter(topic::equals).isPresent())
        .filter(partition -> partition.matches("\\d{1,9}"))
        .map(Integer::valueOf);
  }

  private Optional<String> error(final String name) {
    return Optional.ofNullable(record.headers().lastHeader(ERRORS + name))
        .map(header -> new String(header.value(), StandardCharsets.UTF_8));
  }

  /** The record as it first came, and where it was in the meantime. Its timestamp is new. */
  ProducerRecord<byte[], byte[]> original(final String topic, final Integer partition) {
    final RecordHeaders headers = new RecordHeaders();
    for (final Header header : record.headers()) {
      if (!header.key().startsWith(ERRORS) && !header.key().equals(Origin.REQUEUED_FROM_HEADER)) {
        headers.add(header);
      }
    }
    headers.add(Origin.REQUEUED_FROM_HEADER, place().getBytes(StandardCharsets.UTF_8));
    return new ProducerRecord<>(topic, partition, record.key(), record.value(), headers);
  }
}
