package dev.sarathi.runtime.execute.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.model.DataType;
import dev.sarathi.runtime.model.Llama;
import dev.sarathi.runtime.model.ModelConfig;
import dev.sarathi.runtime.model.ModelFormatException;
import dev.sarathi.runtime.model.Rope;
import dev.sarathi.runtime.model.Tensor;
import dev.sarathi.runtime.model.Weights.Projection;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import jdk.incubator.vector.FloatVector;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.assertj.core.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KernelsTest {

  @Property(tries = 300)
  void shouldMultiplyAsTheScalarReferenceForEveryShape(
      @ForAll @IntRange(min = 1, max = 30) final int rows,
      @ForAll @IntRange(min = 1, max = 300) final int outputs,
      @ForAll @IntRange(min = 1, max = 1100) final int inputs,
      @ForAll final DataType type,
      @ForAll final boolean biased,
      @ForAll final WeightFormat format,
      @ForAll final long seed) {
    // given
    final Random random = new Random(seed);
    final Tensor weight = tensor(random, type, outputs, inputs);
    final Tensor bias = vector(random, outputs);
    final float[] x = floats(random, rows * inputs);

    // when
    final PackedMatrix packed =
        pack(format, List.of(Projection.of(weight, Optional.of(bias).filter(b -> biased))));
    final float[] y = multiply(packed, rows, x);

    // then
    final float[][] floats = split(weight.toFloats(), outputs);
    final float[] begin = biased ? bias.toFloats() : new float[outputs];
    final float[][] expected =
        switch (format) {
          case STORED -> ScalarKernels.multiply(split(x, rows), floats, begin);
          case INT8 -> ScalarKernels.multiplyQuantised(split(x, rows), floats, begin);
        };
    for (int row = 0; row < rows; row++) {
      final int from = row * packed.stride();
      assertThat(Arrays.copyOfRange(y, from, from + outputs)).isEqualTo(expected[row]);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "JAVA, STORED, BF16",
    "JAVA, STORED, F32",
    "JAVA, INT8, F32",
    "NATIVE, STORED, BF16",
    "NATIVE, INT8, F32"
  })
  void shouldMultiplyManyRowsAsOne(
      final KernelSet kernels, final WeightFormat format, final DataType type) {
    Assumptions.assumeThat(kernels.obstacle()).isEmpty();
    final Random random = new Random(6);
    final Tensor weight = tensor(random, type, 170, 1_300);
    final PackedMatrix packed =
        PackedMatrix.pack(
            new WeightLoader(Path.of("model"), Arena.ofAuto(), kernels, format, 1e-5f),
            List.of(Projection.of(weight, Optional.empty())));
    for (final int rows : new int[] {47, 48, 205}) {
      final float[] x = floats(random, rows * 1_300);
      final float[] y = multiply(packed, rows, x);
      for (int row = 0; row < rows; row++) {
        final float[] alone =
            multiply(packed, 1, Arrays.copyOfRange(x, row * 1_300, (row + 1) * 1_300));
        final int from = row * packed.stride();
        assertThat(Arrays.copyOfRange(y, from, from + packed.stride())).isEqualTo(alone);
      }
    }
  }

  @Test
  void shouldPackTheRowsOfAFusedWeightInTheOrderAskedFor() {
    // given a weight and a bias of 12 rows, of which two are wanted the other way round
    final Random random = new Random(3);
    final Tensor weight = tensor(random, DataType.F32, 12, 5);
    final Tensor bias = vector(random, 12);
    final Projection all = Projection.of(weight, Optional.of(bias));
    final float[] x = floats(random, 5);

    // when
    final float[] y =
        multiply(pack(WeightFormat.STORED, List.of(all.rows(7, 2), all.rows(1, 3))), 1, x);

    // then
    final float[] expected =
        ScalarKernels.multiply(split(x, 1), split(weight.toFloats(), 12), bias.toFloats())[0];
    assertThat(Arrays.copyOf(y, 5))
        .containsExactly(expected[7], expected[8], expected[1], expected[2], expected[3]);
  }

  @Test
  void shouldQuantiseWithinHalfAStepOfTheLargestWeightOfAGroup() {
    final Random random = new Random(4);
    final Tensor weight = tensor(random, DataType.F32, 3, 200);
    final PackedMatrix packed =
        pack(WeightFormat.INT8, List.of(Projection.of(weight, Optional.empty())));
    for (int k = 0; k < 200; k++) {
      final float[] x = new float[200];
      x[k] = 1;
      final float[] y = multiply(packed, 1, x);
      for (int output = 0; output < 3; output++) {
        float largest = 0;
        for (int i = k / 64 * 64; i < Math.min(200, k / 64 * 64 + 64); i++) {
          largest = Math.max(largest, Math.abs(weight.get(output * 200 + i)));
        }
        assertThat(y[output])
            .isCloseTo(weight.get(output * 200 + k), within(largest / 127 * 0.5001f));
      }
    }
    assertThat(packed.bytes()).isLessThan(Lanes.LENGTH * 2 * (200 + 4 * 4) + 16);
  }

  @Test
  void shouldNameTheFirstWeightThatIsNotANumber() {
    for (final WeightFormat format : WeightFormat.values()) {
      for (final DataType type : DataType.values()) {
        final Tensor weight = tensor(new Random(1), type, 70, 9);
        for (final float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
          set(weight, 69 * 9 + 3, Float.NaN);
          set(weight, 41 * 9 + 8, value);
          set(weight, 41 * 9 + 7, value);
          assertThatThrownBy(
                  () -> pack(format, List.of(Projection.of(weight, Optional.empty()).rows(2, 68))))
              .isInstanceOf(ModelFormatException.class)
              .hasMessage(
                  "model: tensor weight is "
                      + value
                      + " at [41, 7]; every weight must be a finite number");
        }
      }
    }
  }

  @Test
  void shouldPackSeveralWeightsIntoOneAndGiveTheirRowsBack() {
    final Random random = new Random(5);
    final Tensor first = tensor(random, DataType.BF16, 37, 11);
    for (DataType type : DataType.values()) {
      final Tensor second = tensor(random, type, 50, 11);
      final PackedMatrix packed = pack(first, second);
      final float[] row = new float[11];
      packed.copyOutput(36, row, 0);
      assertThat(row).isEqualTo(split(first.toFloats(), 37)[36]);
      packed.copyOutput(37 + 49, row, 0);
      assertThat(row).isEqualTo(split(second.toFloats(), 50)[49]);
    }
  }

  @Property(tries = 200)
  void shouldNormaliseAsTheScalarReference(
      @ForAll @IntRange(min = 1, max = 300) final int length, @ForAll final long seed) {
    final Random random = new Random(seed);
    final float[] x = floats(random, length);
    final float[] weight = floats(random, length);
    final float[] y = new float[length];
    RowKernels.rmsNorm(x, 0, weight, 1e-5f, y, 0, new float[Lanes.VIRTUAL]);
    assertThat(y).isEqualTo(ScalarKernels.rmsNorm(x, weight, 1e-5f));
  }

  @Property(tries = 200)
  void shouldCentreAndNormaliseAsTheScalarReference(
      @ForAll @IntRange(min = 1, max = 300) final int length, @ForAll final long seed) {
    final Random random = new Random(seed);
    final float[] x = floats(random, length);
    final float[] weight = floats(random, length);
    final float[] bias = floats(random, length);
    final float[] y = new float[length];
    RowKernels.layerNorm(x, 0, weight, bias, 1e-5f, y, 0, new float[Lanes.VIRTUAL]);
    assertThat(y).isEqualTo(ScalarKernels.layerNorm(x, weight, bias, 1e-5f));
  }

  @Test
  void shouldComputeTheExactGeluAlikeInVectorAndTail() {
    final float[] x = new float[3 * Lanes.LENGTH - 1];
    final float[] y = new float[x.length];
    for (float from = -12; from < 12; from += 0.013f) {
      for (int i = 0; i < x.length; i++) {
        x[i] = from + i * 0.0003f;
      }
      RowKernels.gelu(x, 0, y, 0, x.length);
      for (int i = 0; i < x.length; i++) {
        assertThat(y[i]).isEqualTo(RowKernels.gelu(x[i]));
        assertThat((double) y[i]).isCloseTo(exactGelu(x[i]), within(1e-6));
      }
    }
    Arrays.fill(x, Float.NaN);
    RowKernels.gelu(x, 0, y, 0, x.length);
    assertThat(y).containsOnly(Float.NaN);
    assertThat(RowKernels.gelu(0)).isZero();
    assertThat(RowKernels.gelu(1e30f)).isEqualTo(1e30f);
    assertThat(RowKernels.gelu(-1e30f)).isZero();
  }

  /** By the series for the normal distribution's integral whose terms are all positive. */
  private static double exactGelu(final double x) {
    double term = Math.abs(x);
    double sum = term;
    for (int i = 1; i < 300; i++) {
      term *= x * x / (2 * i + 1);
      sum += term;
    }
    final double half = sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
    return x * (0.5 + Math.signum(x) * half);
  }

  @Property(tries = 200)
  void shouldActivateAlikeInVectorAndTail(
      @ForAll @IntRange(min = 1, max = 100) final int length, @ForAll final long seed) {
    final float[] gateUp = floats(new Random(seed), 2 * length);
    final float[] y = new float[length];
    RowKernels.siluMultiply(gateUp, 0, y, 0, length);
    for (int i = 0; i < length; i++) {
      final float gate = gateUp[i];
      assertThat(y[i]).isEqualTo(gate / (RowKernels.exp(-gate) + 1) * gateUp[length + i]);
    }
  }

  @Test
  void shouldExponentiateAccuratelyAndAlikeInVectorAndScalar() {
    final float[] x = new float[Lanes.LENGTH];
    for (float from = -86.9f; from < 87.9f; from += 0.01f) {
      for (int lane = 0; lane < x.length; lane++) {
        x[lane] = from + lane * 0.0007f;
      }
      final float[] vector = RowKernels.exp(FloatVector.fromArray(Lanes.FLOATS, x, 0)).toArray();
      for (int lane = 0; lane < x.length; lane++) {
        assertThat(vector[lane]).isEqualTo(RowKernels.exp(x[lane]));
        final double exact = Math.exp(x[lane]);
        assertThat(Math.abs(vector[lane] - exact) / exact).isLessThan(2.5e-7);
      }
    }
    final float[] odd = new float[Lanes.LENGTH];
    for (float value :
        new float[] {Float.NaN, Float.NEGATIVE_INFINITY, Float.POSITIVE_INFINITY, -1e30f, -0f}) {
      Arrays.fill(odd, value);
      assertThat(RowKernels.exp(FloatVector.fromArray(Lanes.FLOATS, odd, 0)).lane(0))
          .isEqualTo(Float.valueOf(RowKernels.exp(value)));
    }
    assertThat(RowKernels.exp(Float.NaN)).isNaN();
    assertThat(RowKernels.exp(0)).isEqualTo(1);
  }

  @Property(tries = 300)
  void shouldAttendAsTheScalarReference(
      @ForAll KernelSet kernels,
      @ForAll @IntRange(min = 1, max = 2) int kvHeads,
      @ForAll @IntRange(min = 1, max = 9) int group,
      @ForAll @IntRange(min = 1, max = 128) int halfDim,
      @ForAll @IntRange(min = 0, max = 50) int position,
      @ForAll @IntRange(min = 1, max = 20) int rows,
      @ForAll @IntRange(min = 1, max = 90) int window,
      @ForAll long seed) {
    if (!kernels.obstacle().isEmpty()) {
      return; // a property has no assumptions that hold for all tries
    }
    try (Arena arena = Arena.ofConfined()) {
      // given
      final int dim = 2 * halfDim;
      final ModelConfig config = config(kvHeads, group, dim);
      final Random random = new Random(seed);
      final int end = position + rows;
      final int[] blocks = {7, 2, 5, 0, 3};
      final KvCache cache = new KvCache(config, 8, arena);
      cache.data.asSlice(0).fill((byte) 0xFF); // NaN wherever nothing is written
      final float[][][] keys = new float[kvHeads][end][];
      final float[][][] values = new float[kvHeads][end][];
      for (int h = 0; h < kvHeads; h++) {
        for (int t = 0; t < end; t++) {
          keys[h][t] = floats(random, dim);
          values[h][t] = floats(random, dim);
          final float[] both = Arrays.copyOf(keys[h][t], 2 * dim);
          System.arraycopy(values[h][t], 0, both, dim, dim);
          cache.write(1, blocks[t / 16], h, t % 16, both, 0, dim);
        }
      }
      final int width = kvHeads * group * dim;
      final float[] x = floats(random, rows * width);
      final float[] y = new float[rows * width];

      // when
      final Attention attention = new Attention(config, kernels);
      for (int h = 0; h < kvHeads; h++) {
        attention.run(cache, 1, h, window, blocks, position, 0, rows, x, width, y);
      }

      // then
      for (int row = 0; row < rows; row++) {
        for (int head = 0; head < kvHeads * group; head++) {
          final int from = row * width + head * dim;
          final int seen = position + row + 1;
          final float[] expected =
              ScalarKernels.attend(
                  Arrays.copyOfRange(x, from, from + dim),
                  Arrays.copyOf(keys[head / group], seen),
                  Arrays.copyOf(values[head / group], seen),
                  window);
          assertThat(Arrays.copyOfRange(y, from, from + dim)).isEqualTo(expected);
        }
      }
    }
  }

  static float[] multiply(final PackedMatrix packed, final int rows, final float[] x) {
    final float[] y = new float[rows * packed.stride()];
    Arrays.fill(y, Float.NaN);
    for (int group = 0; group < packed.groups(rows); group++) {
      packed.multiply(group, rows, x, y);
    }
    return y;
  }

  private static PackedMatrix pack(final Tensor... weights) {
    return pack(
        WeightFormat.STORED,
        Arrays.stream(weights).map(w -> Projection.of(w, Optional.empty())).toList());
  }

  private static PackedMatrix pack(final WeightFormat format, final List<Projection> projections) {
    return PackedMatrix.pack(
        new WeightLoader(Path.of("model"), Arena.ofAuto(), KernelSet.JAVA, format, 1e-5f),
        projections);
  }

  private static ModelConfig config(int kvHeads, int group, int dim) {
    return new ModelConfig(
        new Llama(false, false),
        16,
        kvHeads * group * dim,
        16,
        2,
        kvHeads * group,
        kvHeads,
        dim,
        1e-5f,
        1024,
        new Rope.Plain(10_000),
        true,
        OptionalInt.empty(),
        Set.of());
  }

  static Tensor tensor(
      final Random random, final DataType type, final int outputs, final int inputs) {
    final MemorySegment data = Arena.ofAuto().allocate((long) outputs * inputs * type.bytes());
    for (int i = 0; i < outputs * inputs; i++) {
      set(data, type, i, (float) random.nextGaussian());
    }
    return new Tensor("weight", type, List.of((long) outputs, (long) inputs), data);
  }

  static Tensor vector(final Random random, final int length) {
    return new Tensor(
        "bias",
        DataType.F32,
        List.of((long) length),
        tensor(random, DataType.F32, length, 1).data());
  }

  static void set(final Tensor tensor, final int index, final float value) {
    set(tensor.data(), tensor.dataType(), index, value);
  }

  private static void set(
      final MemorySegment data, final DataType type, final int index, final float value) {
    switch (type) {
      case F32 -> data.setAtIndex(ValueLayout.JAVA_FLOAT, index, value);
      case BF16 ->
          data.setAtIndex(
              ValueLayout.JAVA_SHORT, index, (short) (Float.floatToRawIntBits(value) >>> 16));
      case F16 -> data.setAtIndex(ValueLayout.JAVA_SHORT, index, Float.floatToFloat16(value));
    }
  }

  static float[] floats(final Random random, final int length) {
    final float[] values = new float[length];
    for (int i = 0; i < length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  static float[][] split(final float[] values, final int rows) {
    final int width = values.length / rows;
    final float[][] split = new float[rows][];
    Arrays.setAll(split, i -> Arrays.copyOfRange(values, i * width, (i + 1) * width));
    return split;
  }
}
