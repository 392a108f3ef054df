package dev.sarathi.runtime.execute.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.model.Architecture;
import dev.sarathi.runtime.model.DataType;
import dev.sarathi.runtime.model.ModelConfig;
import dev.sarathi.runtime.model.Rope;
import dev.sarathi.runtime.model.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import jdk.incubator.vector.FloatVector;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class KernelsTest {

  @Property(tries = 300)
  void shouldMultiplyAsTheScalarReferenceForEveryShape(
      @ForAll @IntRange(min = 1, max = 30) final int rows,
      @ForAll @IntRange(min = 1, max = 300) final int outputs,
      @ForAll @IntRange(min = 1, max = 1100) final int inputs,
      @ForAll final DataType type,
      @ForAll final long seed) {
    // given
    final Random random = new Random(seed);
    final Tensor weight = tensor(random, type, outputs, inputs);
    final float[] x = floats(random, rows * inputs);

    // when
    final PackedMatrix packed = pack(weight);
    final float[] y = new float[rows * packed.stride()];
    Arrays.fill(y, Float.NaN);
    for (int group = 0; group < packed.groups(); group++) {
      packed.multiply(group, rows, x, y);
    }

    // then
    final float[][] expected =
        ScalarKernels.multiply(split(x, rows), split(weight.toFloats(), outputs));
    for (int row = 0; row < rows; row++) {
      final int from = row * packed.stride();
      assertThat(Arrays.copyOfRange(y, from, from + outputs)).isEqualTo(expected[row]);
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

  @Property(tries = 150)
  void shouldAttendAsTheScalarReference(
      @ForAll @IntRange(min = 1, max = 2) int kvHeads,
      @ForAll @IntRange(min = 1, max = 5) int group,
      @ForAll @IntRange(min = 1, max = 25) int halfDim,
      @ForAll @IntRange(min = 0, max = 50) int position,
      @ForAll @IntRange(min = 1, max = 20) int rows,
      @ForAll long seed) {
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
      final Attention attention = new Attention(config);
      for (int h = 0; h < kvHeads; h++) {
        attention.run(cache, 1, h, blocks, position, 0, rows, x, width, y);
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
                  Arrays.copyOf(values[head / group], seen));
          assertThat(Arrays.copyOfRange(y, from, from + dim)).isEqualTo(expected);
        }
      }
    }
  }

  @Test
  void shouldNotFallOffTheIntrinsics() {
    // given a layer of a model of a billion parameters, and its sum as a chain of scalars at worst
    final Random random = new Random(1);
    for (DataType type : List.of(DataType.BF16, DataType.F32)) {
      final Tensor weight = tensor(random, type, 512, 1024);
      final PackedMatrix packed = pack(weight);
      for (int rows : new int[] {1, 4, 12}) {
        final float[] x = floats(random, rows * 1024);
        final float[] y = new float[rows * packed.stride()];

        // when
        long best = Long.MAX_VALUE;
        for (int run = 0; run < 300; run++) {
          final long start = System.nanoTime();
          for (int group = 0; group < packed.groups(); group++) {
            packed.multiply(group, rows, x, y);
          }
          best = Math.min(best, System.nanoTime() - start);
        }

        // then: a kernel that allocates its vectors reaches a tenth of this
        final double gigaflops = 2.0 * packed.work() * rows / best;
        assertThat(gigaflops).as("%s, %d rows", type, rows).isGreaterThan(4);
      }
    }
  }

  private static PackedMatrix pack(final Tensor... weights) {
    return PackedMatrix.pack(Arena.ofAuto(), weights);
  }

  private static ModelConfig config(int kvHeads, int group, int dim) {
    return new ModelConfig(
        Architecture.LLAMA,
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

  private static Tensor tensor(
      final Random random, final DataType type, final int outputs, final int inputs) {
    final MemorySegment data = Arena.ofAuto().allocate((long) outputs * inputs * type.bytes());
    for (int i = 0; i < outputs * inputs; i++) {
      final float value = (float) random.nextGaussian();
      switch (type) {
        case F32 -> data.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
        case BF16 ->
            data.setAtIndex(
                ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(value) >>> 16));
        case F16 -> data.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(value));
      }
    }
    return new Tensor("weight", type, List.of((long) outputs, (long) inputs), data);
  }

  private static float[] floats(final Random random, final int length) {
    final float[] values = new float[length];
    for (int i = 0; i < length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static float[][] split(final float[] values, final int rows) {
    final int width = values.length / rows;
    final float[][] split = new float[rows][];
    Arrays.setAll(split, i -> Arrays.copyOfRange(values, i * width, (i + 1) * width));
    return split;
  }
}
