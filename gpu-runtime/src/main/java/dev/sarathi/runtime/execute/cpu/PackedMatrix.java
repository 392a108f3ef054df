package dev.sarathi.runtime.execute.cpu;

import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.model.DataType;
import dev.sarathi.runtime.model.Tensor;
import dev.sarathi.runtime.model.Weights.Projection;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * A weight {@code [outputs, inputs]} in the order in which a kernel set reads it: panels of some
 * outputs, one after the other. The last panel is filled with zeros, and results are as wide as the
 * panels, so that no kernel has a tail. Lies outside the heap.
 *
 * <p>Threading: immutable once packed; {@link #multiply} may run for different groups at once.
 */
abstract sealed class PackedMatrix permits JavaMatrix, NativeMatrix {
  /**
   * Inputs that share a scale, which takes a sixteenth of their memory; half as many would take an
   * eighth, and the kernels twice as many calls.
   */
  static final int QUANTISED_GROUP = 64;

  private static final int LARGEST = 127;
  private static final ValueLayout.OfShort FILE_SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  final int outputs;
  final int inputs;
  final int panels;
  final long panelBytes;
  final MemorySegment data;

  private final int panelOutputs;

  /** As wide as a row of the result, or empty. */
  private final float[] bias;

  /**
   * Takes the memory of all panels, to be filled by {@link #pack(List, WeightLoader)}.
   *
   * @param panel outputs of one panel
   * @param overrun bytes after the last panel that may be read
   */
  PackedMatrix(
      final WeightLoader loader,
      final List<Projection> projections,
      final int panel,
      final long panelBytes,
      final long overrun) {
    outputs = projections.stream().mapToInt(Projection::outputs).sum();
    inputs = projections.getFirst().inputs();
    panelOutputs = panel;
    panels = Math.ceilDiv(outputs, panel);
    this.panelBytes = panelBytes;
    data = ZeroedMemory.allocate(loader.arena(), panels * panelBytes + overrun);
    bias = bias(loader, projections);
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
    final boolean floats = loader.format() == WeightFormat.STORED && !isBf16(projections);
    final PackedMatrix matrix =
        loader.kernels() == KernelSet.JAVA || floats
            ? new JavaMatrix(loader, projections)
            : loader.format() == WeightFormat.INT8
                ? new NativeInt8Matrix(loader, projections)
                : new NativeBf16Matrix(loader, projections);
    matrix.pack(projections, loader);
    return matrix;
  }

  static boolean isBf16(final List<Projection> projections) {
    return projections.stream().allMatch(p -> p.weight().dataType() == DataType.BF16);
  }

  private void pack(final List<Projection> projections, final WeightLoader loader) {
    IntStream.range(0, panels)
        .parallel()
        .boxed()
        .flatMap(panel -> pack(panel, projections).stream())
        .min((a, b) -> Integer.compare(a.output, b.output))
        .ifPresent(
            row -> {
              throw loader.refusal(row.weight, row.firstNotFinite(inputs));
            });
  }

  private float[] bias(final WeightLoader loader, final List<Projection> projections) {
    if (projections.stream().allMatch(p -> p.bias().isEmpty())) {
      return new float[0];
    }
    final float[] all = new float[stride()];
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
  record Row(Tensor weight, long begin, int output) {

    float get(final int input) {
      return weight.get(begin + input);
    }

    /** Of a bfloat16 weight. */
    short bits(final int input) {
      return weight.data().get(FILE_SHORT, (begin + input) * 2);
    }

    /** Of a bfloat16 weight, whose inputs follow each other from here. */
    long address() {
      return weight.data().address() + begin * 2;
    }

    private long firstNotFinite(final int inputs) {
      long index = begin;
      while (index < begin + inputs - 1 && Float.isFinite(weight.get(index))) {
        index++;
      }
      return index;
    }
  }

  /** Returns the rows that hold something else than finite numbers. */
  private List<Row> pack(final int panel, final List<Projection> projections) {
    final Packing packing = packing(panel);
    final List<Row> bad = new ArrayList<>();
    int output = 0;
    for (final Projection p : projections) {
      final int from = Math.max(panel * panelOutputs, output);
      final int to = (int) Math.min((panel + 1L) * panelOutputs, (long) output + p.outputs());
      for (int o = from; o < to; o++) {
        final Row row = new Row(p.weight(), (long) (p.first() + o - output) * inputs, o);
        if (!packing.add(row)) {
          bad.add(row);
        }
      }
      output += p.outputs();
    }
    packing.end();
    return bad;
  }

  /** Packs a panel, row after row. */
  interface Packing {
    /** Takes a row, and returns whether it holds nothing but finite numbers. */
    boolean add(Row row);

    /** Called after the last row. */
    default void end() {}
  }

  abstract Packing packing(int panel);

  /**
   * Quantises a row group by group; the largest weight of a group becomes 127 or -127.
   *
   * @param to puts a group in its place
   * @return whether it holds nothing but finite numbers
   */
  final boolean quantise(final Row row, final QuantisedGroup to) {
    boolean finite = true;
    final byte[] quantised = new byte[QUANTISED_GROUP];
    for (int from = 0; from < inputs; from += QUANTISED_GROUP) {
      final int count = Math.min(QUANTISED_GROUP, inputs - from);
      float largest = 0;
      for (int k = 0; k < count; k++) {
        largest = Math.max(largest, Math.abs(row.get(from + k)));
      }
      finite &= Float.isFinite(largest);
      final float scale = largest / LARGEST;
      Arrays.fill(quantised, (byte) 0);
      for (int k = 0; k < count; k++) {
        // A subnormal scale may be too small by as much as half, or 0.
        final double value = scale == 0 ? 0 : Math.rint(row.get(from + k) / scale);
        quantised[k] = (byte) Math.clamp(value, -LARGEST, LARGEST);
      }
      to.store(row.output, from, scale, quantised, count);
    }
    return finite;
  }

  /** Takes a quantised group of an output; past the count there are zeros. */
  interface QuantisedGroup {
    void store(int output, int from, float scale, byte[] quantised, int count);
  }

  final int inputs() {
    return inputs;
  }

  /** Floats from one row of a result to the next: the outputs rounded up to whole panels. */
  final int stride() {
    return panels * panelOutputs;
  }

  final long bytes() {
    return data.byteSize();
  }

  /** Multiply-adds of one row of x. */
  final long work() {
    return (long) outputs * inputs;
  }

  /**
   * Units of work that {@link #multiply} takes.
   *
   * @param rows of x
   */
  abstract int groups(int rows);

  /**
   * The weights of one output, as an embedding is looked up.
   *
   * @throws IllegalStateException if they are quantised
   */
  abstract void copyOutput(int output, float[] to, int offset);

  /**
   * One group's outputs of {@code y = x * transpose(this) + bias}.
   *
   * @param x rows of {@link #inputs()} floats
   * @param y rows of {@link #stride()} floats
   */
  abstract void multiply(int group, int rows, float[] x, float[] y);

  /** Every output's sum begins with its bias. */
  final void begin(final int from, final int to, final int rows, final float[] y) {
    for (int row = 0; row < rows; row++) {
      final int offset = row * stride();
      if (bias.length == 0) {
        Arrays.fill(y, offset + from, offset + to, 0f);
      } else {
        System.arraycopy(bias, from, y, offset + from, to - from);
      }
    }
  }
}
