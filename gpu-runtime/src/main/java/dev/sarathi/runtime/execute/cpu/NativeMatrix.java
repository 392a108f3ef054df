package dev.sarathi.runtime.execute.cpu;

import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.model.Weights.Projection;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * A weight for the native kernels: panels of 32 outputs. Bfloat16 lies input pair after input pair,
 * in each the pair's weights of all outputs. Quantised weights lie group after group: a scale and a
 * correction for each output, then four inputs after four inputs.
 */
final class NativeMatrix extends PackedMatrix {
  private static final int PANEL = 32;

  /** Panels of one unit of work; a row is quantised for each unit anew. */
  private static final int BF16_GROUP = 4;

  private static final int INT8_GROUP = 8;

  /** Inputs of one call: so much the kernels hold of each of several rows. */
  private static final int STEPS = 1024;

  /** So much they hold of a single row. */
  private static final int LONE_STEPS = 6 * STEPS;

  /** Rows of one call, which holds up the garbage collector for as long as it takes. */
  private static final int ROWS = 96;

  /** What the kernels add to an input to make it unsigned. */
  private static final int RAISED = 128;

  private static final long PAIR_BYTES = 4L * PANEL;
  private static final long SCALES_BYTES = 4L * PANEL;
  private static final long HEADER_BYTES = 2 * SCALES_BYTES;
  private static final long GROUP_BYTES = HEADER_BYTES + QUANTISED_GROUP * PANEL;

  private final boolean quantised;
  private final int group;

  /** An array as the kernels are given it. */
  private record View(float[] array, MemorySegment segment) {
    private static final View NONE = new View(new float[0], MemorySegment.NULL);
  }

  // Activations stay in the same arrays, so that no call has to make these anew. Any thread may
  // replace them by others as good.
  private View lastX = View.NONE;
  private View lastY = View.NONE;

  NativeMatrix(final WeightLoader loader, final List<Projection> projections) {
    final boolean quantised = loader.format() == WeightFormat.INT8;
    final int inputs = projections.getFirst().inputs();
    super(
        loader,
        projections,
        PANEL,
        quantised
            ? Math.ceilDiv(inputs, QUANTISED_GROUP) * GROUP_BYTES
            : Math.ceilDiv(inputs, 2) * PAIR_BYTES,
        0);
    this.quantised = quantised;
    group = quantised ? INT8_GROUP : BF16_GROUP;
  }

  @Override
  boolean pack(final Row row) {
    if (quantised) {
      return quantise(row);
    }
    boolean finite = true;
    for (int k = 0; k < inputs; k++) {
      final short bits = row.bits(k);
      finite &= (bits & 0x7F80) != 0x7F80;
      data.set(ValueLayout.JAVA_SHORT, bf16Offset(row.output(), k), bits);
    }
    return finite;
  }

  @Override
  void store(
      final int output,
      final int from,
      final float scale,
      final byte[] quantised,
      final int count) {
    final long at = output / PANEL * panelBytes + from / QUANTISED_GROUP * GROUP_BYTES;
    final int lane = output % PANEL;
    data.set(ValueLayout.JAVA_FLOAT, at + 4L * lane, scale);
    int sum = 0;
    for (int k = 0; k < count; k++) {
      final long four = HEADER_BYTES + k / 4 * 4L * PANEL;
      data.set(ValueLayout.JAVA_BYTE, at + four + 4L * lane + k % 4, quantised[k]);
      sum += quantised[k];
    }
    data.set(ValueLayout.JAVA_INT, at + SCALES_BYTES + 4L * lane, -RAISED * sum);
  }

  private long bf16Offset(final int output, final int input) {
    return output / PANEL * panelBytes
        + input / 2 * PAIR_BYTES
        + output % PANEL * 4L
        + input % 2 * 2L;
  }

  @Override
  int groups() {
    return Math.ceilDiv(panels, group);
  }

  @Override
  void copyOutput(final int output, final float[] to, final int offset) {
    if (quantised) {
      throw new IllegalStateException("an embedding is never quantised");
    }
    for (int k = 0; k < inputs; k++) {
      final short bits = data.get(ValueLayout.JAVA_SHORT, bf16Offset(output, k));
      to[offset + k] = Float.intBitsToFloat(bits << 16);
    }
  }

  @Override
  void multiply(final int unit, final int rows, final float[] x, final float[] y) {
    final int first = unit * group;
    final int count = Math.min(group, panels - first);
    final int stride = stride();
    begin(first * PANEL, (first + count) * PANEL, rows, y);
    final View from = view(lastX, x);
    final View to = view(lastY, y);
    lastX = from;
    lastY = to;
    final int most = rows == 1 ? LONE_STEPS : STEPS;
    for (int input = 0; input < inputs; input += most) {
      final int steps = Math.min(most, inputs - input);
      for (int row = 0; row < rows; row += ROWS) {
        final long xOffset = (long) row * inputs + input;
        final long yOffset = (long) row * stride + first * PANEL;
        final int part = Math.min(ROWS, rows - row);
        if (quantised) {
          final long weights = address(first) + input / QUANTISED_GROUP * GROUP_BYTES;
          NativeKernels.int8(
              weights,
              panelBytes,
              count,
              steps,
              from.segment,
              xOffset,
              inputs,
              to.segment,
              yOffset,
              stride,
              part);
        } else {
          final long weights = address(first) + input / 2 * PAIR_BYTES;
          NativeKernels.bf16(
              weights,
              panelBytes,
              count,
              steps,
              from.segment,
              xOffset,
              inputs,
              to.segment,
              yOffset,
              stride,
              part);
        }
      }
    }
  }

  private static View view(final View last, final float[] array) {
    return last.array == array ? last : new View(array, MemorySegment.ofArray(array));
  }

  private long address(final int panel) {
    return data.address() + panel * panelBytes;
  }
}
