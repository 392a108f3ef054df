package dev.sarathi.runtime.execute.cpu;

import static dev.sarathi.runtime.execute.cpu.Lanes.LENGTH;

import dev.sarathi.runtime.model.DataType;
import dev.sarathi.runtime.model.Tensor;
import dev.sarathi.runtime.model.Weights.Projection;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A weight {@code [outputs, inputs]} in the order in which the kernels read it: panels of two
 * vectors of outputs, in each panel input after input. The last panel is filled with zeros, and
 * results are as wide as the panels, so that no kernel has a tail. Lies outside the heap.
 *
 * <p>Threading: immutable once packed; {@link #multiply} may run for different groups at once.
 */
final class PackedMatrix {
  /**
   * Inputs that share a scale, which takes a sixteenth of their memory; half as many would take an
   * eighth, and the kernels twice as many calls.
   */
  static final int QUANTISED_GROUP = 64;

  private static final int PANEL = 2 * LENGTH;

  /** Panels of one unit of work; as many as the kernel for a single row reads together. */
  private static final int GROUP = 4;

  // Inputs taken at a time: a group's weights, read again for each tile of rows, and the rows stay
  // in the L2 cache meanwhile.
  private static final int STEPS = 1024;

  private static final int LARGEST = 127;
  private static final boolean LITTLE = ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN;
  private static final ValueLayout.OfShort FILE_SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private enum Elements {
    F32(MatrixKernels.F32_STEP),
    BF16(MatrixKernels.BF16_STEP),
    INT8(MatrixKernels.INT8_STEP);

    private final long step;

    Elements(final long step) {
      this.step = step;
    }
  }

  private final int outputs;
  private final int inputs;
  private final int panels;
  private final Elements elements;
  private final long panelBytes;
  private final MemorySegment data;

  /** As wide as a row of the result, or empty. */
  private final float[] bias;

  private PackedMatrix(
      final int outputs,
      final int inputs,
      final Elements elements,
      final float[] bias,
      final Arena arena) {
    this.outputs = outputs;
    this.inputs = inputs;
    this.elements = elements;
    panels = (outputs + PANEL - 1) / PANEL;
    panelBytes =
        inputs * elements.step
            + (elements == Elements.INT8
                ? Math.ceilDiv(inputs, QUANTISED_GROUP) * MatrixKernels.INT8_SCALES
                : 0);
    data = arena.allocate(panels * panelBytes + MatrixKernels.INT8_OVERRUN, 64);
    this.bias = bias.length == 0 ? bias : Arrays.copyOf(bias, panels * PANEL);
  }

  /**
   * Packs the outputs of several projections, one after the other, into one matrix.
   *
   * @param projections all of the same number of inputs; unless they are quantised or all of them
   *     are bfloat16 they are held as floats
   * @throws dev.sarathi.runtime.model.ModelFormatException naming the first weight that is not a
   *     finite number
   */
  static PackedMatrix pack(final WeightLoader loader, final List<Projection> projections) {
    final boolean bf16 = projections.stream().allMatch(p -> p.weight().dataType() == DataType.BF16);
    final PackedMatrix matrix =
        new PackedMatrix(
            projections.stream().mapToInt(Projection::outputs).sum(),
            projections.getFirst().inputs(),
            switch (loader.format()) {
              case INT8 -> Elements.INT8;
              case STORED -> bf16 ? Elements.BF16 : Elements.F32;
            },
            bias(loader, projections),
            loader.arena());
    IntStream.range(0, matrix.panels)
        .parallel()
        .boxed()
        .flatMap(panel -> matrix.pack(panel, projections).stream())
        .min((a, b) -> Integer.compare(a.output, b.output))
        .ifPresent(
            row -> {
              throw loader.refusal(row.weight, row.firstNotFinite(matrix.inputs));
            });
    return matrix;
  }

  private static float[] bias(final WeightLoader loader, final List<Projection> projections) {
    if (projections.stream().allMatch(p -> p.bias().isEmpty())) {
      return new float[0];
    }
    final float[] all = new float[projections.stream().mapToInt(Projection::outputs).sum()];
    int output = 0;
    for (final Projection p : projections) {
      if (p.bias().isPresent()) {
        System.arraycopy(loader.vector(p.bias().get()), p.first(), all, output, p.outputs());
      }
      output += p.outputs();
    }
    return all;
  }

  /** Where a weight's row is and goes. */
  private record Row(Tensor weight, long begin, int output) {

    long firstNotFinite(final int inputs) {
      long index = begin;
      while (index < begin + inputs - 1 && Float.isFinite(weight.get(index))) {
        index++;
      }
      return index;
    }
  }

  /** Returns the rows that hold something else than finite numbers. */
  private List<Row> pack(final int panel, final List<Projection> projections) {
    final List<Row> bad = new ArrayList<>();
    int output = 0;
    for (final Projection p : projections) {
      final int from = Math.max(panel * PANEL, output);
      final int to = (int) Math.min((panel + 1L) * PANEL, (long) output + p.outputs());
      for (int o = from; o < to; o++) {
        final Row row = new Row(p.weight(), (long) (p.first() + o - output) * inputs, o);
        final boolean finite =
            switch (elements) {
              case F32 -> packF32(row);
              case BF16 -> packBf16(row);
              case INT8 -> packInt8(row);
            };
        if (!finite) {
          bad.add(row);
        }
      }
      output += p.outputs();
    }
    return bad;
  }

  private boolean packF32(final Row row) {
    boolean finite = true;
    for (int k = 0; k < inputs; k++) {
      final float value = row.weight.get(row.begin + k);
      finite &= Float.isFinite(value);
      data.set(FLOAT, f32Offset(row.output, k), value);
    }
    return finite;
  }

  private boolean packBf16(final Row row) {
    boolean finite = true;
    for (int k = 0; k < inputs; k++) {
      final short bits = row.weight.data().get(FILE_SHORT, (row.begin + k) * 2);
      finite &= (bits & 0x7F80) != 0x7F80;
      data.set(ValueLayout.JAVA_SHORT, bf16Offset(row.output, k), bits);
    }
    return finite;
  }

  /** The largest weight of a group becomes 127 or -127. */
  private boolean packInt8(final Row row) {
    boolean finite = true;
    for (int from = 0; from < inputs; from += QUANTISED_GROUP) {
      final int to = Math.min(from + QUANTISED_GROUP, inputs);
      float largest = 0;
      for (int k = from; k < to; k++) {
        largest = Math.max(largest, Math.abs(row.weight.get(row.begin + k)));
      }
      finite &= Float.isFinite(largest);
      final float scale = largest / LARGEST;
      final long group = row.output / PANEL * panelBytes + int8Offset(from);
      final int lane = row.output % PANEL;
      data.set(FLOAT, group + 4L * lane, scale);
      for (int k = from; k < to; k++) {
        // A subnormal scale may be too small by as much as half, or 0.
        final double value = scale == 0 ? 0 : Math.rint(row.weight.get(row.begin + k) / scale);
        data.set(
            ValueLayout.JAVA_BYTE,
            group + MatrixKernels.INT8_SCALES + (k - from) * MatrixKernels.INT8_STEP + lane,
            (byte) Math.clamp(value, -LARGEST, LARGEST));
      }
    }
    return finite;
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

  /**
   * One group's outputs of {@code y = x * transpose(this) + bias}.
   *
   * @param x rows of {@link #inputs()} floats
   * @param y rows of {@link #stride()} floats
   */
  void multiply(final int group, final int rows, final float[] x, final float[] y) {
    final int first = group * GROUP;
    final int last = Math.min(first + GROUP, panels);
    begin(first * PANEL, last * PANEL, rows, y);
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

  /** Every output's sum begins with its bias. */
  private void begin(final int from, final int to, final int rows, final float[] y) {
    for (int row = 0; row < rows; row++) {
      final int offset = row * stride();
      if (bias.length == 0) {
        Arrays.fill(y, offset + from, offset + to, 0f);
      } else {
        System.arraycopy(bias, from, y, offset + from, to - from);
      }
    }
  }

  /** Whether six rows come next; what is left of eight or nine goes better by fours. */
  private static boolean sixNext(final int left) {
    return left >= 6 && left != 8 && left != 9;
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

  private void rowPanels4(int panel, int from, int steps, float[] x, int row, float[] y) {
    final int xOffset = row * inputs + from;
    final int yOffset = row * stride() + panel * PANEL;
    final long at = at(panel, from);
    switch (elements) {
      case BF16 ->
          MatrixKernels.bf16RowPanels4(data, at, panelBytes, steps, x, xOffset, y, yOffset);
      case F32 -> MatrixKernels.f32RowPanels4(data, at, panelBytes, steps, x, xOffset, y, yOffset);
      case INT8 -> {
        for (int k = 0; k < steps; k += QUANTISED_GROUP) {
          final int count = Math.min(QUANTISED_GROUP, steps - k);
          MatrixKernels.int8RowPanels4(
              data, at + int8Offset(k), panelBytes, count, x, xOffset + k, y, yOffset);
        }
      }
    }
  }

  private long at(int panel, int input) {
    final long begin = panel * panelBytes;
    return begin + (elements == Elements.INT8 ? int8Offset(input) : input * elements.step);
  }
}
