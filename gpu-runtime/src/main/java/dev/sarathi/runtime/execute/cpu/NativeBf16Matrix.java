package dev.sarathi.runtime.execute.cpu;

import dev.sarathi.runtime.model.Weights.Projection;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A bfloat16 weight for the native kernels, in twelve bits and without loss. Of the 256 exponents
 * of a bfloat16 nearly all weights of a panel have one of a <i>window</i> of 15 that follow each
 * other, so that four bits tell which; the sixteenth code is exponent 0, that of zeros. So a single
 * sequence, which is generated as fast as weights can be read, gains a third. DFloat11
 * (arXiv:2504.11651) found how few exponents there are; its Huffman codes come to eleven bits, but
 * are not unpacked by two look-ups in a register.
 *
 * <p>Weights with another exponent, one in some thousands, are kept <i>apart</i>: they are zero in
 * the panel, and added last, in rising order of their inputs.
 */
final class NativeBf16Matrix extends NativeMatrix {
  private static final int GROUP = 4;

  /** Exponents of a window. */
  static final int WINDOW = 15;

  /** Of so many weights of a row one is looked at to place the window. */
  private static final int SAMPLED = 16;

  /** Inputs of all rows of a tile that the kernels hold. */
  private static final int ROOM = 12 * 1024;

  /** Rows of a tile. */
  private static final int TILE = 12;

  /** Inputs that a kernel takes of a row at once. */
  private static final int VECTOR = 16;

  private static final int EXPONENTS = 256;
  private static final int QUAD = 4;
  private static final int HEADER_BYTES = 64;
  private static final int PAIR_BYTES = 2 * PANEL;
  private static final int QUAD_BYTES = 3 * PAIR_BYTES;
  private static final int FEW = 64;
  private static final long[] NONE = new long[0];

  /** By panel: input * 32 + output of the panel, and in the lower 16 bits the weight. */
  private final long[][] apart;

  NativeBf16Matrix(final WeightLoader loader, final List<Projection> projections) {
    super(loader, projections, panelBytes(projections.getFirst().inputs()), GROUP);
    apart = new long[panels][];
  }

  static long panelBytes(final int inputs) {
    return HEADER_BYTES + (long) Math.ceilDiv(inputs, QUAD) * QUAD_BYTES;
  }

  @Override
  Packing packing(final int panel) {
    return new PanelPacking(panel);
  }

  private final class PanelPacking implements Packing {
    private final int panel;
    private final long[] rows = new long[PANEL];
    private final int[] occurrences = new int[EXPONENTS];

    private PanelPacking(final int panel) {
      this.panel = panel;
    }

    @Override
    public boolean add(final Row row) {
      final int lane = row.output() % PANEL;
      rows[lane] = row.address();
      for (int k = lane % SAMPLED; k < inputs; k += SAMPLED) {
        occurrences[row.bits(k) >>> 7 & 0xFF]++;
      }
      return NativeKernels.areFinite(row.address(), inputs);
    }

    @Override
    public void end() {
      final int below = below(occurrences);
      long[] others = new long[FEW];
      int count = pack(below, others);
      if (count > others.length) {
        others = new long[count];
        count = pack(below, others);
      }
      apart[panel] = count == 0 ? NONE : Arrays.copyOf(others, count);
    }

    private int pack(final int below, final long[] others) {
      return NativeKernels.packBf16(rows, inputs, below, address(panel), others);
    }
  }

  /** The exponent before the window that holds most weights; of several, the first. */
  private static int below(final int[] occurrences) {
    int within = 0;
    int most = -1;
    int below = 0;
    for (int last = 1; last < EXPONENTS; last++) {
      within += occurrences[last];
      if (last > WINDOW) {
        within -= occurrences[last - WINDOW];
      }
      if (last >= WINDOW && within > most) {
        most = within;
        below = last - WINDOW;
      }
    }
    return below;
  }

  @Override
  void copyOutput(final int output, final float[] to, final int offset) {
    final int lane = output % PANEL;
    final long panel = output / PANEL * panelBytes;
    final int below = data.get(ValueLayout.JAVA_BYTE, panel) & 0xFF;
    for (int k = 0; k < inputs; k++) {
      final long quad = panel + HEADER_BYTES + (long) (k / QUAD) * QUAD_BYTES;
      // Where unpacking takes the lower half of a vector of words from, and where the upper.
      final int word = lane % VECTOR * 2 + k % 2;
      final int at = word / 8 * 16 + lane / VECTOR * 8 + word % 8;
      final int pair = k / 2 % 2;
      final int rest = data.get(ValueLayout.JAVA_BYTE, quad + pair * PAIR_BYTES + at);
      final int code =
          data.get(ValueLayout.JAVA_BYTE, quad + 2 * PAIR_BYTES + at) >>> 4 * pair & 0xF;
      final int exponent = code == 0 ? 0 : below + code;
      to[offset + k] = bf16((rest & 0x80) << 8 | exponent << 7 | rest & 0x7F);
    }
    for (final long weight : apart[output / PANEL]) {
      if (lane(weight) == lane) {
        to[offset + input(weight)] = bf16((int) weight);
      }
    }
  }

  @Override
  void end(final int panel, final int rows, final float[] x, final float[] y) {
    for (int row = 0; row < rows; row++) {
      final int from = row * inputs;
      final int to = row * stride() + panel * PANEL;
      for (final long weight : apart[panel]) {
        final int at = to + lane(weight);
        y[at] = Math.fma(rounded(x[from + input(weight)]), bf16((int) weight), y[at]);
      }
    }
  }

  /** The inputs of an output whose weights are added last. */
  IntStream apart(final int output) {
    return Arrays.stream(apart[output / PANEL])
        .filter(weight -> lane(weight) == output % PANEL)
        .mapToInt(NativeBf16Matrix::input);
  }

  private static int input(final long weight) {
    return (int) (weight >>> 21);
  }

  private static int lane(final long weight) {
    return (int) (weight >>> 16) % PANEL;
  }

  private static float bf16(final int bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  /** The nearest bfloat16, of two the even one, as the kernels round. */
  private static float rounded(final float value) {
    final int bits = Float.floatToRawIntBits(value);
    return Float.intBitsToFloat(bits + 0x7FFF + (bits >>> 16 & 1) & 0xFFFF0000);
  }

  @Override
  int steps(final int rows) {
    return ROOM / Math.min(rows, TILE) / VECTOR * VECTOR;
  }

  @Override
  void add(
      final int panel,
      final int panels,
      final int input,
      final int steps,
      final MemorySegment x,
      final long xOffset,
      final MemorySegment y,
      final long yOffset,
      final int rows) {
    NativeKernels.bf16(
        address(panel),
        panelBytes,
        panels,
        input,
        steps,
        x,
        xOffset,
        inputs,
        y,
        yOffset,
        stride(),
        rows);
  }
}
