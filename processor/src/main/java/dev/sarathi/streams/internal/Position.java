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
  /** Stands for the prompt where choices are numbered. */
  static final int PROMPT = -1;

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

  /** The rank that a position was made with. */
  static long rankOf(final Bytes position) {
    return ByteBuffer.wrap(position.get()).getLong();
  }

  /** The key of a request's attempts, before those of its chunks. */
  static Bytes attemptKey(final Bytes position) {
    return suffixed(position, 0);
  }

  /** The key of a chunk of tokens, those of a choice together, those of the prompt first. */
  static Bytes chunkKey(final Bytes position, final int choice, final int chunk) {
    return suffixed(position, choice + 1, chunk);
  }

  /** Behind the keys of all chunks. */
  static Bytes endKey(final Bytes position) {
    return suffixed(position, Integer.MAX_VALUE);
  }

  /** The choice that a chunk's key names. */
  static int choiceOf(final Bytes position, final Bytes chunkKey) {
    return ByteBuffer.wrap(chunkKey.get()).getInt(position.get().length) - 1;
  }

  /** The number that a chunk's key names. */
  static int chunkOf(final Bytes position, final Bytes chunkKey) {
    return ByteBuffer.wrap(chunkKey.get()).getInt(position.get().length + Integer.BYTES);
  }

  private static Bytes suffixed(final Bytes position, final int... suffixes) {
    final byte[] bytes = position.get();
    final ByteBuffer key = ByteBuffer.allocate(bytes.length + suffixes.length * Integer.BYTES);
    key.put(bytes);
    for (final int suffix : suffixes) {
      key.putInt(suffix);
    }
    return Bytes.wrap(key.array());
  }
}
