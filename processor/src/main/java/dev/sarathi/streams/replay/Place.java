package dev.sarathi.streams.replay;

import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.common.TopicPartition;

/** A place in every partition of a topic. */
public sealed interface Place {
  /** The first record that is still there. */
  record Earliest() implements Place {}

  /** Behind the last committed record. */
  record Latest() implements Place {}

  /** This offset, in every partition. */
  record Offset(long offset) implements Place {}

  /** The first record with this timestamp or a later one. */
  record At(Instant instant) implements Place {}

  /**
   * Reads {@code earliest}, {@code latest}, an offset, or an instant such as {@code
   * 2026-01-31T12:00:00Z}.
   *
   * @throws IllegalArgumentException if it is none of them
   */
  static Place parse(final String text) {
    return switch (text) {
      case "earliest" -> new Earliest();
      case "latest" -> new Latest();
      default -> text.matches("\\d{1,18}") ? new Offset(Long.parseLong(text)) : new At(at(text));
    };
  }

  private static Instant at(final String text) {
    try {
      return Instant.parse(text);
    } catch (final DateTimeParseException e) {
      throw new IllegalArgumentException(
          "'"
              + text
              + "' is no place; valid is earliest, latest, an offset, or an instant such as"
              + " 2026-01-31T12:00:00Z",
          e);
    }
  }

  /** The offset of this place in each of the partitions. */
  default Map<TopicPartition, Long> offsets(
      final Consumer<?, ?> consumer, final Set<TopicPartition> partitions) {
    final Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
    return switch (this) {
      case Earliest() -> consumer.beginningOffsets(partitions);
      case Latest() -> ends;
      case Offset(final long offset) ->
          partitions.stream().collect(Collectors.toMap(Function.identity(), partition -> offset));
      case At(final Instant instant) -> {
        final Map<TopicPartition, Long> offsets = new HashMap<>(ends);
        final Map<TopicPartition, OffsetAndTimestamp> found =
            consumer.offsetsForTimes(
                partitions.stream()
                    .collect(
                        Collectors.toMap(
                            Function.identity(), partition -> instant.toEpochMilli())));
        found.forEach(
            (partition, at) -> {
              if (at != null) {
                offsets.put(partition, at.offset());
              }
            });
        yield offsets;
      }
    };
  }
}
