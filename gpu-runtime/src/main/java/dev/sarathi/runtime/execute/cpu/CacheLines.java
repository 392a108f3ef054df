package dev.sarathi.runtime.execute.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Brings memory into the cache before a kernel works on it, by a load from every line: Java has no
 * prefetch. Among the arithmetic of a kernel few loads are underway at once, and the processor
 * fetches ahead by itself only where it sees a pattern for long enough; loads alone from several
 * places come as fast as memory is read at all.
 *
 * <p>Threading: any.
 */
final class CacheLines {
  private static final int LINE = 64; // bytes that come from memory together, or half of them
  private static final int NEVER = 0x5A17_7A1C; // or hardly ever: then a store is harmless
  private static int sink; // what is read and of no use, the compiler leaves out

  private CacheLines() {}

  /**
   * Reads from four places, which may be the same, so many bytes each.
   *
   * @param bytes a multiple of 4
   */
  static void touch(
      final MemorySegment data,
      final long first,
      final long second,
      final long third,
      final long fourth,
      final int bytes) {
    int a = 0;
    int b = 0;
    int c = 0;
    int d = 0;
    for (int i = 0; i < bytes; i += LINE) {
      a |= data.get(ValueLayout.JAVA_INT_UNALIGNED, first + i);
      b |= data.get(ValueLayout.JAVA_INT_UNALIGNED, second + i);
      c |= data.get(ValueLayout.JAVA_INT_UNALIGNED, third + i);
      d |= data.get(ValueLayout.JAVA_INT_UNALIGNED, fourth + i);
    }
    if ((a ^ b ^ c ^ d) == NEVER) {
      sink = a;
    }
  }
}
