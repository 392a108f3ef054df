package dev.sarathi.runtime.execute.cpu;

import static dev.sarathi.runtime.execute.cpu.Lanes.LENGTH;

import dev.sarathi.runtime.model.DataType;
import dev.sarathi.runtime.model.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * A weight {@code [outputs, inputs]} in the order in which the kernels read it: panels of two
 * vectors of outputs, in each panel input after input. The last panel is filled with zeros, and
 * results are as wide as the panels, so that no kernel has a tail. Lies outside the heap.
 *
 * <p>Threading: immutable once packed; {@link #multiply} may run for different groups at once.
 */
final class PackedMatrix {
  private static final int PANEL = 2 * LENGTH;

  /** Panels of one unit of work; as many as the kernel for a single row reads together. */
  private static final int GROUP = 4;

  // Inputs taken at a time: a group's weights, read again for each tile of rows, and the rows stay
  // in the L2 cache meanwhile.
  private static final int STEPS = 1024;

  private static final boolean LITTLE = ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN;
  private static final ValueLayout.OfShort FILE_SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final int outputs;
  private final int inputs;
  private final int panels;
  private final boolean bf16;
  private final long panelBytes;
  private final MemorySegment data;

  private PackedMatrix(final int outputs, final int inputs, final boolean bf16, final Arena arena) {
    this.outputs = outputs;
    this.inputs = inputs;
    this.bf16 = bf16;
    panels = (outputs + PANEL - 1) / PANEL;
    panelBytes = inputs * (bf16 ? MatrixKernels.BF16_STEP : MatrixKernels.F32_STEP);
    data = arena.allocate(panels * panelBytes, 64);
  }

  /**
   * Packs the outputs of several weights, one after the other, into one matrix.
   *
   * @param weights all of the same number of inputs; if not all of them are bfloat16 they are
   *     stored as floats
   */
  static PackedMatrix pack(final Arena arena, final Tensor... weights) {
    final int inputs = Math.toIntExact(weights[0].shape().get(1));
    final int outputs =
        Math.toIntExact(Arrays.stream(weights).mapToLong(w -> w.shape().get(0)).sum());
    final boolean bf16 = Arrays.stream(weights).allMatch(w -> w.dataType() == DataType.BF16);
    final PackedMatrix matrix = new PackedMatrix(outputs, inputs, bf16, arena);
    IntStream.range(0, matrix.panels).parallel().forEach(p -> matrix.pack(p, weights));
    return matrix;
  }

  private void pack(int panel, Tensor[] weights) {
    int output = 0;
    for (Tensor weight : weights) {
      final long count = weight.shape().get(0);
      final int from = Math.max(panel * PANEL, output);
      final int to = (int) Math.min((panel + 1L) * PANEL, output + count);
      for (int o = from; o < to; o++) {
        final long row = (long) (o - output) * inputs;
        if (bf16) {
          for (int k = 0; k < inputs; k++) {
            final short bits = weight.data().get(FILE_SHORT, (row + k) * 2);
            data.set(ValueLayout.JAVA_SHORT, bf16Offset(o, k), bits);
          }
        } else {
          for (int k = 0; k < inputs; k++) {
            data.set(ValueLayout.JAVA_FLOAT, f32Offset(o, k), weight.get(row + k));
          }
        }
      }
      output += (int) count;
    }
  }

  /** One int of a panel holds output i in its lower half and output i + LENGTH in its upper. */
  private long bf16Offset(int output, int input) {
    final int lane = output % PANEL;
    final boolean upper = lane >= LENGTH;
    final long pair =
        output / PANEL * panelBytes + input * MatrixKernels.BF16_STEP + lane % LENGTH * 4L;
    return upper == LITTLE ? pair + 2 : pair;
  }

  private long f32Offset(int output, int input) {
    return output / PANEL * panelBytes + input * MatrixKernels.F32_STEP + output % PANEL * 4L;
  }

  int inputs() {
    return inputs;
  }

  /** Floats from one row of a result to the next: the outputs rounded up to whole panels. */
  int stride() {
    return panels * PANEL;
  }

  long bytes() {
    return data.byteSize();
  }

  /** Multiply-adds of one row of x. */
  long work() {
    return (long) outputs * inputs;
  }

  /** Units of work that {@link #multiply} takes. */
  int groups() {
    return (panels + GROUP - 1) / GROUP;
  }

  /** The weights of one output, as an embedding is looked up. */
  void copyOutput(int output, float[] to, int offset) {
    if (bf16) {
      for (int k = 0; k < inputs; k++) {
        final short bits = data.get(ValueLayout.JAVA_SHORT, bf16Offset(output, k));
        to[offset + k] = Float.intBitsToFloat(bits << 16);
      }
    } else {
      for (int k = 0; k < inputs; k++) {
        to[offset + k] = data.get(ValueLayout.JAVA_FLOAT, f32Offset(output, k));
      }
    }
  }

  /**
   * One group's outputs of {@code y = x * transpose(this)}.
   *
   * @param x rows of {@link #inputs()} floats
   * @param y rows of {@link #stride()} floats
   */
  void multiply(final int group, final int rows, final float[] x, final float[] y) {
    final int first = group * GROUP;
    final int last = Math.min(first + GROUP, panels);
    for (int row = 0; row < rows; row++) {
      final int offset = row * stride();
      Arrays.fill(y, offset + first * PANEL, offset + last * PANEL, 0f);
    }
    for (int from = 0; from < inputs; from += STEPS) {
      final int steps = Math.min(STEPS, inputs - from);
      int row = 0;
      for (; sixNext(rows - row); row += 6) {
        for (int panel = first; panel < last; panel++) {
          rows6(panel, from, steps, x, row, y);
        }
      }
      for (; row + 4 <= rows; row += 4) {
        for (int panel = first; panel < last; panel++) {
          rows4(panel, from, steps, x, row, y);
        }
      }
      for (; row < rows; row++) {
        if (last - first == GROUP) {
          rowPanels4(first, from, steps, x, row, y);
        } else {
          for (int panel = first; panel < last; panel++) {
            row(panel, from, steps, x, row, y);
          }
        }
      }
    }
  }

  /** Whether six rows come next; what is left of eight or nine goes better by fours. */
  private static boolean sixNext(final int left) {
    return left >= 6 && left != 8 && left != 9;
  }

  private void rows6(int panel, int from, int steps, float[] x, int row, float[] y) {
    final int xOffset = row * inputs + from;
    final int yOffset = row * stride() + panel * PANEL;
    if (bf16) {
      MatrixKernels.bf16Rows6(
          data, at(panel, from), steps, x, xOffset, inputs, y, yOffset, stride());
    } else {
      MatrixKernels.f32Rows6(
          data, at(panel, from), steps, x, xOffset, inputs, y, yOffset, stride());
    }
  }

  private void rows4(int panel, int from, int steps, float[] x, int row, float[] y) {
    final int xOffset = row * inputs + from;
    final int yOffset = row * stride() + panel * PANEL;
    if (bf16) {
      MatrixKernels.bf16Rows4(
          data, at(panel, from), steps, x, xOffset, inputs, y, yOffset, stride());
    } else {
      MatrixKernels.f32Rows4(
          data, at(panel, from), steps, x, xOffset, inputs, y, yOffset, stride());
    }
  }

  private void row(int panel, int from, int steps, float[] x, int row, float[] y) {
    final int xOffset = row * inputs + from;
    final int yOffset = row * stride() + panel * PANEL;
    if (bf16) {
      MatrixKernels.bf16Row(data, at(panel, from), steps, x, xOffset, y, yOffset);
    } else {
      MatrixKernels.f32Row(data, at(panel, from), steps, x, xOffset, y, yOffset);
    }
  }

  private void rowPanels4(int panel, int from, int steps, float[] x, int row, float[] y) {
    final int xOffset = row * inputs + from;
    final int yOffset = row * stride() + panel * PANEL;
    if (bf16) {
      MatrixKernels.bf16RowPanels4(
          data, at(panel, from), panelBytes, steps, x, xOffset, y, yOffset);
    } else {
      MatrixKernels.f32RowPanels4(data, at(panel, from), panelBytes, steps, x, xOffset, y, yOffset);
    }
  }

  private long at(int panel, int input) {
    return panel * panelBytes + input * (bf16 ? MatrixKernels.BF16_STEP : MatrixKernels.F32_STEP);
  }
}
