package dev.sarathi.streams.application;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.processor.api.Record;

/**
 * Records that are no valid request, as they came, with the headers of Kafka's own dead letters
 * (KIP-1034), so that tools for those read these too.
 */
final class DeadLetters {
  private static final String PREFIX = "__streams.errors.";

  private DeadLetters() {}

  static Record<byte[], byte[]> letter(
      final byte[] key,
      final byte[] value,
      final Headers original,
      final long timestamp,
      final Throwable reason,
      final String topic,
      final int partition,
      final long offset) {
    final StringWriter stackTrace = new StringWriter();
    reason.printStackTrace(new PrintWriter(stackTrace));
    final Headers headers = new RecordHeaders(original);
    add(headers, "exception", reason.getClass().getName());
    add(headers, "message", String.valueOf(reason.getMessage()));
    add(headers, "stacktrace", stackTrace.toString());
    add(headers, "topic", topic);
    add(headers, "partition", Integer.toString(partition));
    add(headers, "offset", Long.toString(offset));
    return new Record<>(key, value, timestamp, headers);
  }

  private static void add(final Headers headers, final String name, final String value) {
    headers.add(PREFIX + name, value.getBytes(StandardCharsets.UTF_8));
  }
}
