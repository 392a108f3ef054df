package dev.sarathi.runtime.execute.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Locale;
import java.util.SplittableRandom;

/**
 * An instruction that kernels are made of ({@code primitives.cuh}), by itself, with what plain
 * arithmetic makes of the same input. The twin of a device has its own version of each, so here is
 * where a real device shows that operands are in their places, and how it rounds.
 *
 * <p>Inputs are pseudo-random words, the same ones everywhere. Of the layouts of matrices in
 * registers see the PTX manual, "Warp-level matrix instructions".
 */
public enum Primitive {
  BARRIER("bar.sync", 1, 1, 0),
  SHUFFLE("shfl.sync", 1, 5, 0),
  /** The manual promises a relative error of 2^-22; results below the normal range are 0. */
  EXPONENTIAL("ex2.approx", 1, 1, 0x1p-22),
  ROUND("cvt.rn.bf16x2", 2, 1, 0),
  COPY("cp.async", 8, 8, 0),
  LOAD_MATRICES("ldmatrix", 4, 4, 0),
  LOAD_MATRICES_TRANSPOSED("ldmatrix.trans", 4, 4, 0),
  /**
   * The manual promises no precision. Sixteen products and a sum, aligned to the largest of them
   * and cut off at 24 bits, would be off by 17 units of 2^-24 of their magnitudes at most.
   */
  MULTIPLY("mma.sync", 10, 4, 17 * 0x1p-23);

  private static final int BLOCKS = 8;
  private static final int THREADS = 64;
  private static final int WARP = 32;
  private static final int SHARED_BYTES = THREADS * 8 * Integer.BYTES;
  private static final int INNER = 16;

  private final String instruction;
  private final int wordsIn;
  private final int wordsOut;
  private final double allowedError;

  Primitive(
      final String instruction, final int wordsIn, final int wordsOut, final double allowedError) {
    this.instruction = instruction;
    this.wordsIn = wordsIn;
    this.wordsOut = wordsOut;
    this.allowedError = allowedError;
  }

  /** As assembly calls it. */
  public String instruction() {
    return instruction;
  }

  /** Of a result, relative to what is added up in it; 0 if bits are moved or rounded once. */
  public double allowedError() {
    return allowedError;
  }

  /** How many words a device yields. */
  public int results() {
    return BLOCKS * THREADS * wordsOut;
  }

  /** What a device makes of the input; it is idle then. */
  public int[] run(final Driver driver) {
    final int[] words = input();
    final MemorySegment in = driver.hostMemory((long) words.length * Integer.BYTES);
    final MemorySegment out = driver.hostMemory((long) results() * Integer.BYTES);
    MemorySegment.copy(words, 0, in, ValueLayout.JAVA_INT, 0, words.length);
    final long from = driver.allocate(in.byteSize());
    final long to = driver.allocate(out.byteSize());
    driver.upload(in, from);
    driver.launch(new Launch(kernel(), BLOCKS, 1, THREADS, SHARED_BYTES, from, to));
    driver.download(to, out);
    driver.synchronize();
    driver.free(from);
    driver.free(to);
    return out.toArray(ValueLayout.JAVA_INT);
  }

  private String kernel() {
    return "probe_" + name().toLowerCase(Locale.ROOT);
  }

  private int[] input() {
    final SplittableRandom random = new SplittableRandom(ordinal());
    return random
        .ints((long) BLOCKS * THREADS * wordsIn)
        .map(
            word ->
                switch (this) {
                  case EXPONENTIAL -> exponent(word);
                  // every other one a tie
                  case ROUND -> (word & 1) == 0 ? word : word & 0xFFFF0000 | 0x8000;
                  // between 1/8 and 2, as two bfloat16 or one float
                  case MULTIPLY -> word & 0x80FF80FF | 0x3E003E00 | word >>> 1 & 0x01000100;
                  default -> word;
                })
        .toArray();
  }

  /** From -140 to 116, and what attention asks for at its edges. */
  private static int exponent(final int word) {
    return Float.floatToRawIntBits(
        switch (word & 0xFF) {
          case 0 -> 0;
          case 1 -> Float.NEGATIVE_INFINITY;
          case 2 -> word >> 25;
          default -> (word >> 8) * 0x1p-16f - 12;
        });
  }

  /**
   * The largest error of all results.
   *
   * @param results of {@link #run}
   * @return relative to what is added up in a result; 1 where bits should be equal and are not
   */
  public double error(final int[] results) {
    if (results.length != results()) {
      throw new IllegalArgumentException(
          "%s has %d results; valid is %d".formatted(instruction, results.length, results()));
    }
    final int[] in = input();
    double worst = 0;
    for (int i = 0; i < results.length; i++) {
      final double error = error(in, i, results[i]);
      // written so that NaN is the worst
      worst = error <= worst ? worst : error;
    }
    return worst;
  }

  private double error(final int[] in, final int index, final int result) {
    final int thread = index / wordsOut;
    final int word = index % wordsOut;
    return switch (this) {
      case BARRIER -> differs(in[thread ^ THREADS - 1], result);
      case SHUFFLE -> differs(in[thread ^ 1 << word], result);
      case EXPONENTIAL -> exponentialError(in[thread], result);
      case ROUND -> differs(bf16(in[2 * thread]) | bf16(in[2 * thread + 1]) << 16, result);
      case COPY -> differs(in[index], result);
      case LOAD_MATRICES ->
          differs(in[4 * row(thread, word, lane(thread) / 4) + lane(thread) % 4], result);
      case LOAD_MATRICES_TRANSPOSED -> differs(transposed(in, thread, word), result);
      case MULTIPLY -> productError(in, thread, word, result);
    };
  }

  private static double differs(final int expected, final int result) {
    return expected == result ? 0 : 1;
  }

  private static int lane(final int thread) {
    return thread % WARP;
  }

  private static double exponentialError(final int x, final int result) {
    final double expected = Math.pow(2, Float.intBitsToFloat(x));
    final float given = Float.intBitsToFloat(result);
    return expected < Float.MIN_NORMAL && Math.abs(given) <= Float.MIN_NORMAL
        ? 0
        : Math.abs(given - expected) / expected;
  }

  /** To nearest, ties to even, every NaN alike. */
  private static int bf16(final int bits) {
    return Float.isNaN(Float.intBitsToFloat(bits))
        ? 0x7FFF
        : bits + 0x7FFF + (bits >>> 16 & 1) >>> 16;
  }

  /** Where row {@code row} of a matrix that a thread's warp loads lies in memory. */
  private static int row(final int thread, final int matrix, final int row) {
    return thread / WARP * WARP + ((8 * matrix + row) * 5 + 3) % WARP;
  }

  /** Of two rows the same column. */
  private static int transposed(final int[] in, final int thread, final int matrix) {
    final int column = lane(thread) / 4;
    final int row = 2 * (lane(thread) % 4);
    return half(in, row(thread, matrix, row), column)
        | half(in, row(thread, matrix, row + 1), column) << 16;
  }

  private static int half(final int[] in, final int row, final int column) {
    return in[4 * row + column / 2] >>> 16 * (column % 2) & 0xFFFF;
  }

  private double productError(final int[] in, final int thread, final int word, final int result) {
    final int row = lane(thread) / 4 + 8 * (word / 2);
    final int column = 2 * (lane(thread) % 4) + word % 2;
    final int warp = thread / WARP * WARP;
    double sum = Float.intBitsToFloat(in[wordsIn * thread + 6 + word]);
    double magnitude = Math.abs(sum);
    for (int i = 0; i < INNER; i++) {
      final int lane = i % 8 / 2;
      final int a = in[wordsIn * (warp + row % 8 * 4 + lane) + row / 8 + 2 * (i / 8)];
      final int b = in[wordsIn * (warp + column * 4 + lane) + 4 + i / 8];
      final double product = widened(a, i) * widened(b, i);
      sum += product;
      magnitude += Math.abs(product);
    }
    return Math.abs(Float.intBitsToFloat(result) - sum) / magnitude;
  }

  private static double widened(final int pair, final int index) {
    return Float.intBitsToFloat(index % 2 == 0 ? pair << 16 : pair & 0xFFFF0000);
  }
}
