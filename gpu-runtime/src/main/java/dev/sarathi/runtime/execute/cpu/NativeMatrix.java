package dev.sarathi.runtime.execute.cpu;

import dev.sarathi.runtime.model.Weights.Projection;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** A weight for the native kernels: panels of 32 outputs. */
abstract sealed class NativeMatrix extends PackedMatrix permits NativeBf16Matrix, NativeInt8Matrix {
  static final int PANEL = 32;

  /** Rows of one call, which holds up the garbage collector for as long as it takes. */
  private static final int ROWS = 96;

  /** Panels of one unit of work; inputs are rounded for each unit anew. */
  private final int group;

  /** An array as the kernels are given it. */
  private record View(float[] array, MemorySegment segment) {
    private static final View NONE = new View(new float[0], MemorySegment.NULL);
  }

  // Activations stay in the same arrays, so that no call has to make these anew. Any thread may
  // replace them by others as good.
  private View lastX = View.NONE;
  private View lastY = View.NONE;

  NativeMatrix(
      final WeightLoader loader,
      final List<Projection> projections,
      final long panelBytes,
      final int group) {
    super(loader, projections, PANEL, panelBytes, 0);
    this.group = group;
  }

  @Override
  final int groups(final int rows) {
    return Math.ceilDiv(panels, group(rows));
  }

  /** A single row takes so little time that threads would wait for each other's last unit. */
  private int group(final int rows) {
    return rows == 1 ? group / 2 : group;
  }

  @Override
  final void multiply(final int unit, final int rows, final float[] x, final float[] y) {
    final int group = group(rows);
    final int first = unit * group;
    final int count = Math.min(group, panels - first);
    begin(first * PANEL, (first + count) * PANEL, rows, y);
    final View from = view(lastX, x);
    final View to = view(lastY, y);
    lastX = from;
    lastY = to;
    final int most = steps(rows);
    for (int input = 0; input < inputs; input += most) {
      final int steps = Math.min(most, inputs - input);
      for (int row = 0; row < rows; row += ROWS) {
        final long xOffset = (long) row * inputs + input;
        final long yOffset = (long) row * stride() + first * PANEL;
        final int part = Math.min(ROWS, rows - row);
        add(first, count, input, steps, from.segment, xOffset, to.segment, yOffset, part);
      }
    }
    for (int panel = first; panel < first + count; panel++) {
      end(panel, rows, x, y);
    }
  }

  /** Inputs of one call with so many rows: whole groups or whole vectors of them. */
  abstract int steps(int rows);

  /** Adds the products of some inputs to the outputs of some panels. */
  abstract void add(
      int panel,
      int panels,
      int input,
      int steps,
      MemorySegment x,
      long xOffset,
      MemorySegment y,
      long yOffset,
      int rows);

  /** Called when a panel's outputs have all that was added. */
  void end(final int panel, final int rows, final float[] x, final float[] y) {}

  private static View view(final View last, final float[] array) {
    return last.array == array ? last : new View(array, MemorySegment.ofArray(array));
  }

  final long address(final int panel) {
    return data.address() + panel * panelBytes;
  }
}
