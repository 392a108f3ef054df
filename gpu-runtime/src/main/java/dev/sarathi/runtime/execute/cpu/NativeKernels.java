package dev.sarathi.runtime.execute.cpu;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;

/**
 * The kernels of {@code src/main/c/kernels.c}, which a build with a C compiler puts beside this
 * class. Loaded when first asked for.
 */
@SuppressWarnings("restricted") // the launcher enables native access
final class NativeKernels {
  private static final String LIBRARY = "libsarathi-kernels.so";

  private static final FunctionDescriptor BF16_PRODUCT =
      FunctionDescriptor.ofVoid(
          JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG,
          ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_INT);

  private static final FunctionDescriptor BF16_PACKING =
      FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS, JAVA_INT);

  private static final FunctionDescriptor BF16_FINITE =
      FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_INT);

  private static final FunctionDescriptor INT8_PRODUCT =
      FunctionDescriptor.ofVoid(
          JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS,
          JAVA_LONG, JAVA_LONG, JAVA_INT);

  private static final FunctionDescriptor ATTENTION =
      FunctionDescriptor.ofVoid(
          JAVA_LONG,
          JAVA_LONG,
          ADDRESS,
          JAVA_INT,
          JAVA_INT,
          JAVA_INT,
          JAVA_INT,
          JAVA_INT,
          JAVA_FLOAT,
          ADDRESS,
          JAVA_LONG,
          JAVA_LONG,
          ADDRESS,
          JAVA_LONG,
          JAVA_LONG);

  // Constants of the compiler, so that a call costs a few nanoseconds; null where they are missing.
  private static final MethodHandle BF16;
  private static final MethodHandle BF16_PACK;
  private static final MethodHandle FINITE;
  private static final MethodHandle INT8;
  private static final MethodHandle ATTEND;
  private static final String OBSTACLE;

  static {
    MethodHandle bf16 = null;
    MethodHandle bf16Pack = null;
    MethodHandle finite = null;
    MethodHandle int8 = null;
    MethodHandle attend = null;
    String obstacle;
    try (InputStream library = NativeKernels.class.getResourceAsStream(LIBRARY)) {
      if (library == null) {
        obstacle = "this build has no native kernels, which needs a C compiler on x86-64 Linux";
      } else {
        final SymbolLookup symbols = load(library);
        if (isSupported(symbols)) {
          bf16 = critical(symbols, "sarathi_bf16", BF16_PRODUCT);
          bf16Pack = critical(symbols, "sarathi_bf16_pack", BF16_PACKING);
          finite = critical(symbols, "sarathi_bf16_finite", BF16_FINITE);
          int8 = critical(symbols, "sarathi_int8", INT8_PRODUCT);
          attend = critical(symbols, "sarathi_attend", ATTENTION);
          obstacle = "";
        } else {
          obstacle = "the processor lacks avx512_bf16 or avx512_vnni";
        }
      }
    } catch (final IOException | IllegalArgumentException | IllegalCallerException e) {
      obstacle = "the native kernels cannot be loaded: " + e.getMessage();
    }
    BF16 = bf16;
    BF16_PACK = bf16Pack;
    FINITE = finite;
    INT8 = int8;
    ATTEND = attend;
    OBSTACLE =
        obstacle.isEmpty() && !multipliesAsSpecified()
            ? "the processor's dot product of bfloat16 rounds otherwise than specified"
            : obstacle;
  }

  private NativeKernels() {}

  /** Why the kernels cannot run here; empty if they can. */
  static String obstacle() {
    return OBSTACLE;
  }

  private static SymbolLookup load(final InputStream library) throws IOException {
    final Path file = Files.createTempFile("sarathi-kernels", ".so");
    try {
      Files.write(file, library.readAllBytes());
      return SymbolLookup.libraryLookup(file, Arena.global());
    } finally {
      Files.delete(file); // loaded, it stays in memory
    }
  }

  private static boolean isSupported(final SymbolLookup symbols) {
    final MethodHandle supported =
        Linker.nativeLinker()
            .downcallHandle(
                symbols.findOrThrow("sarathi_supported"), FunctionDescriptor.of(JAVA_INT));
    try {
      return (int) supported.invokeExact() != 0;
    } catch (final Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** Critical, so that rows of activations are read and written where they are in the heap. */
  private static MethodHandle critical(
      final SymbolLookup symbols, final String name, final FunctionDescriptor descriptor) {
    return Linker.nativeLinker()
        .downcallHandle(symbols.findOrThrow(name), descriptor, Linker.Option.critical(true));
  }

  /**
   * Adds a product to {@code y}. Offsets and strides of x and y count floats, that of panels bytes.
   *
   * @param weights the address of the first panel
   * @param first input, a multiple of four
   * @param steps inputs; at most 12,288 divided by the rows, or by 12 if they are more
   */
  static void bf16(
      final long weights,
      final long panelStride,
      final int panels,
      final int first,
      final int steps,
      final MemorySegment x,
      final long xOffset,
      final long xStride,
      final MemorySegment y,
      final long yOffset,
      final long yStride,
      final int rows) {
    try {
      BF16.invokeExact(
          weights,
          panelStride,
          panels,
          first,
          steps,
          x,
          xOffset,
          xStride,
          y,
          yOffset,
          yStride,
          rows);
    } catch (final Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Whether all bfloat16 weights of a row are finite numbers.
   *
   * @param row the address of the first
   */
  static boolean areFinite(final long row, final int inputs) {
    try {
      return (int) FINITE.invokeExact(row, inputs) != 0;
    } catch (final Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Packs a panel.
   *
   * @param rows the addresses of 32 rows of bfloat16 weights; 0 for one of zeros
   * @param below the exponent before the first of the fifteen that the panel can tell
   * @param panel its address
   * @param apart gets the weights that have another, input * 32 + output and then 16 bits of weight
   * @return how many these are; if more than there is room for, the first are there
   */
  static int packBf16(
      final long[] rows, final int inputs, final int below, final long panel, final long[] apart) {
    try {
      return (int)
          BF16_PACK.invokeExact(
              MemorySegment.ofArray(rows),
              inputs,
              below,
              panel,
              MemorySegment.ofArray(apart),
              apart.length);
    } catch (final Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Adds a product to {@code y}, of quantised weights.
   *
   * @param weights the address of the first panel, at the first input, which begins a group
   * @param steps inputs; at most 1024, or 6144 of a single row
   */
  static void int8(
      final long weights,
      final long panelStride,
      final int panels,
      final int steps,
      final MemorySegment x,
      final long xOffset,
      final long xStride,
      final MemorySegment y,
      final long yOffset,
      final long yStride,
      final int rows) {
    try {
      INT8.invokeExact(
          weights, panelStride, panels, steps, x, xOffset, xStride, y, yOffset, yStride, rows);
    } catch (final Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Attention of consecutive positions, each with the query heads of one KV head, as {@link
   * Attention} computes it, bit for bit. The block stride, offsets and other strides count floats.
   *
   * @param cache the address of block 0, of the layer and the head
   * @param dimensions of a head; at most {@link Attention#NATIVE_DIMENSIONS}
   */
  static void attend(
      final long cache,
      final long blockStride,
      final MemorySegment blocks,
      final int window,
      final int position,
      final int rows,
      final int group,
      final int dimensions,
      final float scale,
      final MemorySegment x,
      final long xOffset,
      final long xStride,
      final MemorySegment y,
      final long yOffset,
      final long yStride) {
    try {
      ATTEND.invokeExact(
          cache,
          blockStride,
          blocks,
          window,
          position,
          rows,
          group,
          dimensions,
          scale,
          x,
          xOffset,
          xStride,
          y,
          yOffset,
          yStride);
    } catch (final Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Whether the instruction rounds as its specification says: the odd product first, then the even
   * one, each fused with its addition. Only then do two makers' processors give the same bits.
   */
  private static boolean multipliesAsSpecified() {
    final Random random = new Random(1);
    final int inputs = 128;
    final long panelBytes = NativeBf16Matrix.panelBytes(inputs);
    try (Arena arena = Arena.ofConfined()) {
      final MemorySegment panel = arena.allocate(panelBytes, 64);
      final MemorySegment weights = arena.allocate(JAVA_SHORT, 32L * inputs);
      final long[] rows = new long[32];
      final float[] x = new float[inputs];
      final float[] y = new float[32];
      final float[] expected = new float[32];
      for (int k = 0; k < inputs; k++) {
        x[k] = bf16(random.nextFloat() - 0.5f);
      }
      for (int output = 0; output < 32; output++) {
        rows[output] = weights.address() + 2L * output * inputs;
        for (int k = 0; k < inputs; k += 2) {
          // From 2^-8 to 1: a window of exponents holds them all.
          final float even = bf16(0x1p-8f + random.nextFloat() * 0.9f);
          final float odd = bf16(-0x1p-8f - random.nextFloat() * 0.9f);
          final long at = (long) output * inputs + k;
          weights.setAtIndex(JAVA_SHORT, at, (short) (Float.floatToRawIntBits(even) >> 16));
          weights.setAtIndex(JAVA_SHORT, at + 1, (short) (Float.floatToRawIntBits(odd) >> 16));
          expected[output] = Math.fma(x[k + 1], odd, expected[output]);
          expected[output] = Math.fma(x[k], even, expected[output]);
        }
      }
      packBf16(rows, inputs, 127 - NativeBf16Matrix.WINDOW, panel.address(), new long[0]);
      bf16(
          panel.address(),
          panelBytes,
          1,
          0,
          inputs,
          MemorySegment.ofArray(x),
          0,
          x.length,
          MemorySegment.ofArray(y),
          0,
          32,
          1);
      return Arrays.equals(y, expected);
    }
  }

  /** The value cut to what a bfloat16 holds. */
  private static float bf16(final float value) {
    return Float.intBitsToFloat(Float.floatToRawIntBits(value) & 0xFFFF0000);
  }
}
