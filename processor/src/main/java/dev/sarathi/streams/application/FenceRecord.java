package dev.sarathi.streams.application;

import dev.sarathi.streams.Routed;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.Set;
import java.util.function.IntFunction;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.processor.api.Record;

/**
 * The application's record that fences zombies off (see {@link
 * dev.sarathi.streams.Generation.Named#fencing}), in the topic of the prompts: without a value,
 * with a header that tells it, and with a key that names its partition, so that a compacted topic
 * takes it.
 */
final class FenceRecord {
  static final String HEADER = "sarathi.fence";
  private static final String KEY = "sarathi-fence-";

  private FenceRecord() {}

  /** Makes such records, routed to a sink. */
  static IntFunction<Routed<byte[], byte[]>> record(final String child) {
    return partition -> new Routed<>(of(partition), Optional.of(child));
  }

  static Record<byte[], byte[]> of(final int partition) {
    return new Record<>(
        (KEY + partition).getBytes(StandardCharsets.UTF_8),
        null,
        System.currentTimeMillis(),
        new RecordHeaders().add(HEADER, new byte[0]));
  }

  static boolean is(final Headers headers) {
    return headers.lastHeader(HEADER) != null;
  }

  /** The partition that a key names, as a sink's partitioner. */
  static Optional<Set<Integer>> partition(
      final String topic, final byte[] key, final byte[] value, final int partitions) {
    final String text = new String(key, StandardCharsets.UTF_8);
    return Optional.of(Set.of(Integer.valueOf(text.substring(KEY.length()))));
  }
}
