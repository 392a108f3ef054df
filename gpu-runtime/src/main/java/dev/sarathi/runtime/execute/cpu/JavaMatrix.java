package dev.sarathi.runtime.execute.cpu;

import static dev.sarathi.runtime.execute.cpu.Lanes.LENGTH;

import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.model.Weights.Projection;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;

/** A weight for the kernels in Java: panels of two vectors, in each panel input after input. */
final class JavaMatrix extends PackedMatrix {
  private static final int PANEL = 2 * LENGTH;

  /** Panels of one unit of work; as many as the places from which memory is read ahead. */
  private static final int GROUP = 4;

  /** Vectors of 512 bits come with 32 registers, enough for the sums of eight rows. */
  private static final boolean EIGHT_ROWS = LENGTH == Lanes.VIRTUAL;

  // Inputs taken at a time: a group's weights, read again for each tile of rows, and the rows stay
  // in the L2 cache meanwhile. A single row takes them all, since memory is read fastest in order.
  private static final int STEPS = 1024;

  /** Rows for which a quantised group is widened at a time. */
  private static final int WIDENED_ROWS = 96;

  /** A quantised group's scales and weights, widened; or its sums for one row and some panels. */
  private static final ThreadLocal<float[]> SCRATCH =
      ThreadLocal.withInitial(() -> new float[(1 + QUANTISED_GROUP) * PANEL]);

  private static final boolean LITTLE = ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN;
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private enum Elements {
    F32(MatrixKernels.F32_STEP, 2),
    BF16(MatrixKernels.BF16_STEP, 2),
    INT8(MatrixKernels.INT8_STEP, 4);

    private final long step;

    /** How many a single row meets at once, so that memory is read in several streams. */
    private final int panels;

    Elements(final long step, final int panels) {
      this.step = step;
      this.panels = panels;
    }
  }

  private final Elements elements;

  JavaMatrix(final WeightLoader loader, final List<Projection> projections) {
    final Elements elements = elements(loader.format(), projections);
    super(
        loader,
        projections,
        PANEL,
        bytes(elements, projections.getFirst().inputs()),
        MatrixKernels.INT8_OVERRUN);
    this.elements = elements;
  }

  private static Elements elements(final WeightFormat format, final List<Projection> projections) {
    return switch (format) {
      case INT8 -> Elements.INT8;
      case STORED -> isBf16(projections) ? Elements.BF16 : Elements.F32;
    };
  }

  private static long bytes(final Elements elements, final int inputs) {
    return inputs * elements.step
        + (elements == Elements.INT8
            ? Math.ceilDiv(inputs, QUANTISED_GROUP) * MatrixKernels.INT8_SCALES
            : 0);
  }

  @Override
  Packing packing(final int panel) {
    return switch (elements) {
      case F32 -> this::packF32;
      case BF16 -> this::packBf16;
      case INT8 -> row -> quantise(row, this::store);
    };
  }

  private boolean packF32(final Row row) {
    boolean finite = true;
    for (int k = 0; k < inputs; k++) {
      final float value = row.get(k);
      finite &= Float.isFinite(value);
      data.set(FLOAT, f32Offset(row.output(), k), value);
    }
    return finite;
  }

  private boolean packBf16(final Row row) {
    boolean finite = true;
    for (int k = 0; k < inputs; k++) {
      final short bits = row.bits(k);
      finite &= (bits & 0x7F80) != 0x7F80;
      data.set(ValueLayout.JAVA_SHORT, bf16Offset(row.output(), k), bits);
    }
    return finite;
  }

  private void store(
      final int output,
      final int from,
      final float scale,
      final byte[] quantised,
      final int count) {
    final long group = output / PANEL * panelBytes + int8Offset(from);
    final int lane = output % PANEL;
    data.set(FLOAT, group + 4L * lane, scale);
    for (int k = 0; k < count; k++) {
      data.set(
          ValueLayout.JAVA_BYTE,
          group + MatrixKernels.INT8_SCALES + k * MatrixKernels.INT8_STEP + lane,
          quantised[k]);
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

  /** Of the group that begins with this input, in its panel. */
  private static long int8Offset(final int input) {
    return input * MatrixKernels.INT8_STEP + input / QUANTISED_GROUP * MatrixKernels.INT8_SCALES;
  }

  @Override
  int groups(final int rows) {
    return (panels + GROUP - 1) / GROUP;
  }

  @Override
  void copyOutput(int output, float[] to, int offset) {
    switch (elements) {
      case BF16 -> {
        for (int k = 0; k < inputs; k++) {
          final short bits = data.get(ValueLayout.JAVA_SHORT, bf16Offset(output, k));
          to[offset + k] = Float.intBitsToFloat(bits << 16);
        }
      }
      case F32 -> {
        for (int k = 0; k < inputs; k++) {
          to[offset + k] = data.get(FLOAT, f32Offset(output, k));
        }
      }
      case INT8 -> throw new IllegalStateException("an embedding is never quantised");
    }
  }

  @Override
  void multiply(final int group, final int rows, final float[] x, final float[] y) {
    final int first = group * GROUP;
    final int last = Math.min(first + GROUP, panels);
    begin(first * PANEL, last * PANEL, rows, y);
    final int most = rows == 1 ? inputs : STEPS;
    for (int from = 0; from < inputs; from += most) {
      final int steps = Math.min(most, inputs - from);
      if (rows > 1) {
        touch(first, last, from, steps);
      }
      int row = elements == Elements.INT8 ? widened(first, last, from, steps, rows, x, y) : 0;
      final boolean byEight = EIGHT_ROWS && elements == Elements.BF16;
      for (; sixNext(rows - row, byEight); row += 6) {
        for (int panel = first; panel < last; panel++) {
          rows6(panel, from, steps, x, row, y);
        }
      }
      for (; byEight && row + 8 <= rows; row += 8) {
        for (int panel = first; panel < last; panel++) {
          rows8(panel, from, steps, x, row, y);
        }
      }
      for (; row + 4 <= rows; row += 4) {
        for (int panel = first; panel < last; panel++) {
          rows4(panel, from, steps, x, row, y);
        }
      }
      for (; row < rows; row++) {
        int panel = first;
        for (; panel + elements.panels <= last && steps % 2 == 0; panel += elements.panels) {
          rowPanels(panel, from, steps, x, row, y);
        }
        for (; panel < last; panel++) {
          row(panel, from, steps, x, row, y);
        }
      }
    }
  }

  /**
   * Quantised weights for many rows: each group is widened once for a number of them, into memory
   * that stays in the L1 cache, and not by every tile.
   *
   * @return how many rows are done
   */
  private int widened(int first, int last, int from, int steps, int rows, float[] x, float[] y) {
    if (rows < WIDENED_ROWS / 2) {
      return 0;
    }
    final float[] widened = SCRATCH.get();
    final int whole = rows - rows % 6;
    for (int begin = 0; begin < whole; begin += WIDENED_ROWS) {
      final int end = Math.min(begin + WIDENED_ROWS, whole);
      for (int panel = first; panel < last; panel++) {
        for (int k = from; k < from + steps; k += QUANTISED_GROUP) {
          final int count = Math.min(QUANTISED_GROUP, from + steps - k);
          MatrixKernels.int8Widen(data, at(panel, k), count, widened);
          for (int row = begin; row < end; row += 6) {
            final int xOffset = row * inputs + k;
            final int yOffset = row * stride() + panel * PANEL;
            MatrixKernels.int8WidenedRows6(
                widened, count, x, xOffset, inputs, y, yOffset, stride());
          }
        }
      }
    }
    return whole;
  }

  /** Whether six rows come next; what is left of eight or nine goes better by eight or fours. */
  private static boolean sixNext(final int left, final boolean byEight) {
    final boolean twoEights = byEight && (left == 16 || left == 17);
    return left >= 6 && left != 8 && left != 9 && !twoEights;
  }

  /**
   * Brings a group's weights into the L2 cache, from where each tile of rows reads them. Without it
   * a product of four to sixteen rows takes 1.2 times as long, of int8 weights 1.4 times.
   */
  private void touch(final int first, final int last, final int from, final int steps) {
    final long begin = at(first, from);
    final long second = at(Math.min(first + 1, last - 1), from);
    final long third = at(Math.min(first + 2, last - 1), from);
    final int bytes = (int) (at(first, from + steps - 1) + elements.step - begin);
    CacheLines.touch(data, begin, second, third, at(last - 1, from), bytes);
  }

  private void rows8(int panel, int from, int steps, float[] x, int row, float[] y) {
    final int xOffset = row * inputs + from;
    final int yOffset = row * stride() + panel * PANEL;
    MatrixKernels.bf16Rows8(data, at(panel, from), steps, x, xOffset, inputs, y, yOffset, stride());
  }

  private void rows6(int panel, int from, int steps, float[] x, int row, float[] y) {
    final int stride = stride();
    final int xOffset = row * inputs + from;
    final int yOffset = row * stride + panel * PANEL;
    final long at = at(panel, from);
    switch (elements) {
      case BF16 -> MatrixKernels.bf16Rows6(data, at, steps, x, xOffset, inputs, y, yOffset, stride);
      case F32 -> MatrixKernels.f32Rows6(data, at, steps, x, xOffset, inputs, y, yOffset, stride);
      case INT8 -> {
        for (int k = 0; k < steps; k += QUANTISED_GROUP) {
          final int count = Math.min(QUANTISED_GROUP, steps - k);
          MatrixKernels.int8Rows6(
              data, at + int8Offset(k), count, x, xOffset + k, inputs, y, yOffset, stride);
        }
      }
    }
  }

  private void rows4(int panel, int from, int steps, float[] x, int row, float[] y) {
    final int stride = stride();
    final int xOffset = row * inputs + from;
    final int yOffset = row * stride + panel * PANEL;
    final long at = at(panel, from);
    switch (elements) {
      case BF16 -> MatrixKernels.bf16Rows4(data, at, steps, x, xOffset, inputs, y, yOffset, stride);
      case F32 -> MatrixKernels.f32Rows4(data, at, steps, x, xOffset, inputs, y, yOffset, stride);
      case INT8 -> {
        for (int k = 0; k < steps; k += QUANTISED_GROUP) {
          final int count = Math.min(QUANTISED_GROUP, steps - k);
          MatrixKernels.int8Rows4(
              data, at + int8Offset(k), count, x, xOffset + k, inputs, y, yOffset, stride);
        }
      }
    }
  }

  private void row(int panel, int from, int steps, float[] x, int row, float[] y) {
    final int xOffset = row * inputs + from;
    final int yOffset = row * stride() + panel * PANEL;
    final long at = at(panel, from);
    switch (elements) {
      case BF16 -> MatrixKernels.bf16Row(data, at, steps, x, xOffset, y, yOffset);
      case F32 -> MatrixKernels.f32Row(data, at, steps, x, xOffset, y, yOffset);
      case INT8 -> {
        for (int k = 0; k < steps; k += QUANTISED_GROUP) {
          final int count = Math.min(QUANTISED_GROUP, steps - k);
          MatrixKernels.int8Row(data, at + int8Offset(k), count, x, xOffset + k, y, yOffset);
        }
      }
    }
  }

  /** As many panels as {@link Elements#panels}. */
  private void rowPanels(int panel, int from, int steps, float[] x, int row, float[] y) {
    final int xOffset = row * inputs + from;
    final int yOffset = row * stride() + panel * PANEL;
    final long at = at(panel, from);
    switch (elements) {
      case BF16 ->
          MatrixKernels.bf16RowPanels2(data, at, panelBytes, steps, x, xOffset, y, yOffset);
      case F32 -> MatrixKernels.f32RowPanels2(data, at, panelBytes, steps, x, xOffset, y, yOffset);
      case INT8 -> {
        final float[] sums = SCRATCH.get();
        for (int k = 0; k < steps; k += QUANTISED_GROUP) {
          final int count = Math.min(QUANTISED_GROUP, steps - k);
          final long group = at + int8Offset(k);
          MatrixKernels.int8SumPanels4(data, group, panelBytes, count, x, xOffset + k, sums);
          for (int i = 0; i < elements.panels; i++) {
            MatrixKernels.int8AddScaled(
                data, group + i * panelBytes, sums, i * PANEL, y, yOffset + i * PANEL);
          }
        }
      }
    }
  }

  private long at(int panel, int input) {
    final long begin = panel * panelBytes;
    return begin + (elements == Elements.INT8 ? int8Offset(input) : input * elements.step);
  }
}
