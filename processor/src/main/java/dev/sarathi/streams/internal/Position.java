package dev.sarathi.streams.internal;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.utils.Bytes;

/**
 * Where a request stands in its task's queue, as a store key: by rank, then by offset. The rank is
 * the time of arrival, later by the bulk ageing for bulk requests, so one order serves both
 * classes: interactive before bulk, bulk not overtaken for ever. The id tells requests apart that
 * came of one record in one millisecond.
 */
final class Position {
  private Position() {}

  static Bytes of(final long rankMillis, final long offset, final String id) {
    final byte[] name = id.getBytes(StandardCharsets.UTF_8);
    return Bytes.wrap(
        ByteBuffer.allocate(Long.BYTES + Long.BYTES + Short.BYTES + name.length)
            .putLong(rankMillis)
            .putLong(offset)
            .putShort((short) name.length)
            .put(name)
            .array());
  }

  /** The key of a request's attempts, before those of its chunks. */
  static Bytes attemptKey(final Bytes position) {
    return suffixed(position, 0);
  }

  /** The key of a request's chunk of tokens. */
  static Bytes chunkKey(final Bytes position, final int chunk) {
    return suffixed(position, chunk + 1);
  }

  private static Bytes suffixed(final Bytes position, final int suffix) {
    final byte[] bytes = position.get();
    return Bytes.wrap(
        ByteBuffer.allocate(bytes.length + Integer.BYTES).put(bytes).putInt(suffix).array());
  }
}
