package dev.sarathi.runtime.execute.cpu;

import dev.sarathi.runtime.model.Weights.Projection;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * A quantised weight for the native kernels. A panel lies group after group: a scale and a
 * correction for each output, then four inputs after four inputs.
 */
final class NativeInt8Matrix extends NativeMatrix {
  private static final int GROUP = 8;

  /** So many inputs the kernels hold of each of several rows. */
  private static final int STEPS = 1024;

  /** So many of a single row. */
  private static final int LONE_STEPS = 6 * STEPS;

  /** What the kernels add to an input to make it unsigned. */
  private static final int RAISED = 128;

  private static final long SCALES_BYTES = 4L * PANEL;
  private static final long HEADER_BYTES = 2 * SCALES_BYTES;
  private static final long GROUP_BYTES = HEADER_BYTES + QUANTISED_GROUP * PANEL;

  NativeInt8Matrix(final WeightLoader loader, final List<Projection> projections) {
    final int inputs = projections.getFirst().inputs();
    super(loader, projections, Math.ceilDiv(inputs, QUANTISED_GROUP) * GROUP_BYTES, GROUP);
  }

  @Override
  Packing packing(final int panel) {
    return row -> quantise(row, this::store);
  }

  private void store(
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

  @Override
  void copyOutput(final int output, final float[] to, final int offset) {
    throw new IllegalStateException("an embedding is never quantised");
  }

  @Override
  int steps(final int rows) {
    return rows == 1 ? LONE_STEPS : STEPS;
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
    NativeKernels.int8(
        address(panel) + input / QUANTISED_GROUP * GROUP_BYTES,
        panelBytes,
        panels,
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
