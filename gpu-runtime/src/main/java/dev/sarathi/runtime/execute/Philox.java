package dev.sarathi.runtime.execute;

/**
 * The counter-based generator Philox4x32-10 (Salmon et al., SC'11): a pure function from a key and
 * a counter to 128 random bits, so that nothing has to be saved to draw the same numbers again.
 */
final class Philox {
  private static final long MULTIPLIER_0 = 0xD2511F53L;
  private static final long MULTIPLIER_1 = 0xCD9E8D57L;
  private static final int WEYL_0 = 0x9E3779B9;
  private static final int WEYL_1 = 0xBB67AE85;
  private static final int ROUNDS = 10;

  private Philox() {}

  /** Replaces the four words of the counter by random ones. */
  static void apply(final int[] counter, final long key) {
    int key0 = (int) key;
    int key1 = (int) (key >>> 32);
    int c0 = counter[0];
    int c1 = counter[1];
    int c2 = counter[2];
    int c3 = counter[3];
    for (int round = 0; round < ROUNDS; round++) {
      final long product0 = MULTIPLIER_0 * Integer.toUnsignedLong(c0);
      final long product1 = MULTIPLIER_1 * Integer.toUnsignedLong(c2);
      c0 = (int) (product1 >>> 32) ^ c1 ^ key0;
      c1 = (int) product1;
      c2 = (int) (product0 >>> 32) ^ c3 ^ key1;
      c3 = (int) product0;
      key0 += WEYL_0;
      key1 += WEYL_1;
    }
    counter[0] = c0;
    counter[1] = c1;
    counter[2] = c2;
    counter[3] = c3;
  }
}
