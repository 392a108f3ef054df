package dev.sarathi.runtime.constrain;

/** Some of the 256 bytes. */
record ByteSet(long a, long b, long c, long d) {

  static ByteSet of(final String ascii) {
    ByteSet set = new ByteSet(0, 0, 0, 0);
    for (int i = 0; i < ascii.length(); i++) {
      set = set.and(ascii.charAt(i), ascii.charAt(i));
    }
    return set;
  }

  static ByteSet range(final int from, final int to) {
    return new ByteSet(0, 0, 0, 0).and(from, to);
  }

  ByteSet and(final int from, final int to) {
    return new ByteSet(
        a | bits(from, to),
        b | bits(from - 64, to - 64),
        c | bits(from - 128, to - 128),
        d | bits(from - 192, to - 192));
  }

  private static long bits(final int from, final int to) {
    long bits = 0;
    for (int i = Math.max(0, from); i <= Math.min(63, to); i++) {
      bits |= 1L << i;
    }
    return bits;
  }

  boolean has(final int value) {
    final long word =
        switch (value >> 6) {
          case 0 -> a;
          case 1 -> b;
          case 2 -> c;
          default -> d;
        };
    return (word >> value & 1) != 0;
  }
}
