package dev.sarathi.runtime.execute.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.sarathi.runtime.execute.Readout;
import dev.sarathi.runtime.execute.cuda.DeviceLayer.HeadNorms;
import dev.sarathi.runtime.execute.cuda.DeviceLayer.Norm;
import dev.sarathi.runtime.execute.cuda.Kernels.Rotation;
import dev.sarathi.runtime.execute.cuda.Kernels.Tile;
import dev.sarathi.runtime.schedule.Input;
import dev.sarathi.runtime.schedule.Slice;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Each kernel, on the CPU twin, against its definition in plain arithmetic. */
class KernelsTest {
  private static final int BLOCK_TOKENS = BatchPlan.BLOCK_TOKENS;

  private final Random random = new Random(7);
  private TwinDriver driver;
  private DeviceData data;
  private Kernels kernels;

  @BeforeEach
  void start() {
    assumeThat(TwinDriver.built()).as("a C++ compiler was there to build the twin").isTrue();
    driver = new TwinDriver(random.nextLong());
    data = new DeviceData(driver);
    kernels = new Kernels(driver);
  }

  @AfterEach
  void close() {
    if (driver != null) {
      driver.close();
    }
  }

  // ---- products

  @ParameterizedTest
  @CsvSource({
    "1, 1, 8",
    "15, 31, 64",
    "16, 32, 72",
    "17, 33, 128",
    "63, 65, 448",
    "64, 64, 200",
    "65, 127, 64",
    "127, 129, 136",
    "129, 128, 520"
  })
  void shouldMultiplyAlikeWithEveryTileAndCloseToTheReference(
      final int rows, final int outputs, final int inputs) {
    // given
    final float[][] x = matrix(rows, inputs);
    final float[][] w = matrix(outputs, inputs);
    final float[] bias = matrix(1, outputs)[0];
    final DeviceMatrix weight = weight(w, inputs, data.floats(bias));
    final long input = data.bf16(x, weight.stride());
    final int stride = DeviceMatrix.padded(outputs);

    // when
    final List<float[][]> results = new ArrayList<>();
    for (final Tile tile : Tile.values()) {
      final long y = data.zeros(4L * rows * stride);
      kernels.multiply("logits", tile, input, weight, y, stride, rows);
      results.add(data.readFloats(y, rows, stride, stride));
    }

    // then
    for (int row = 0; row < rows; row++) {
      for (int output = 0; output < outputs; output++) {
        double expected = bias[output];
        for (int i = 0; i < inputs; i++) {
          expected += (double) x[row][i] * w[output][i];
        }
        assertThat((double) results.getFirst()[row][output])
            .isCloseTo(expected, within(1e-4 * (1 + Math.abs(expected))));
      }
    }
    results.forEach(result -> assertThat(result).isDeepEqualTo(results.getFirst()));
    for (final float[] row : results.getFirst()) {
      assertThat(Arrays.copyOfRange(row, outputs, stride)).isEqualTo(new float[stride - outputs]);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1, 8",
    "15, 31, 64",
    "16, 32, 72",
    "17, 33, 128",
    "63, 65, 448",
    "64, 64, 200",
    "65, 127, 64",
    "127, 129, 136",
    "129, 128, 520"
  })
  void shouldMultiplyByQuantisedWeightsAlikeWithEveryTileAndCloseToTheReference(
      final int rows, final int outputs, final int inputs) {
    // given weights of which one group is all zeros
    final float[][] x = matrix(rows, inputs);
    final float[][] w = floats(outputs, inputs);
    Arrays.fill(w[outputs / 2], 0, Math.min(64, inputs), 0);
    final float[] bias = floats(1, outputs)[0];
    final DeviceMatrix weight = quantised(w, inputs, data.floats(bias));
    final long input = data.bf16(x, weight.stride());
    final int stride = DeviceMatrix.padded(outputs);

    // when
    final List<float[][]> results = new ArrayList<>();
    for (final Tile tile : Tile.values()) {
      final long y = data.zeros(4L * rows * stride);
      kernels.multiply("logits", tile, input, weight, y, stride, rows);
      results.add(data.readFloats(y, rows, stride, stride));
    }
    final long rounded = data.zeros(2L * rows * stride);
    kernels.multiply("multiply", Tile.MIDDLE, input, weight, rounded, stride, rows);

    // then
    for (int output = 0; output < outputs; output++) {
      final double[] dequantised = dequantised(w[output]);
      for (int row = 0; row < rows; row++) {
        double expected = bias[output];
        for (int i = 0; i < inputs; i++) {
          expected += x[row][i] * dequantised[i];
        }
        assertThat((double) results.getFirst()[row][output])
            .isCloseTo(expected, within(1e-4 * (1 + Math.abs(expected))));
      }
    }
    results.forEach(result -> assertThat(result).isDeepEqualTo(results.getFirst()));
    final float[][] asBf16 = data.readBf16(rounded, rows, stride, stride);
    for (int row = 0; row < rows; row++) {
      for (int i = 0; i < stride; i++) {
        assertThat(asBf16[row][i]).isEqualTo(DeviceData.rounded(results.getFirst()[row][i]));
      }
    }
  }

  /** By the rule, in plain arithmetic. */
  private static double[] dequantised(final float[] row) {
    final double[] values = new double[row.length];
    for (int from = 0; from < row.length; from += 64) {
      final int end = Math.min(from + 64, row.length);
      float largest = 0;
      for (int i = from; i < end; i++) {
        largest = Math.max(largest, Math.abs(row[i]));
      }
      final float scale = largest / 127;
      for (int i = from; i < end; i++) {
        values[i] = scale == 0 ? 0 : Math.rint(row[i] / scale) * scale;
      }
    }
    return values;
  }

  private DeviceMatrix quantised(final float[][] rows, final int inputs, final long bias) {
    final int stride = DeviceMatrix.padded(inputs);
    final int scaleStride = DeviceMatrix.scaleStride(rows.length);
    final MemorySegment weights = driver.hostMemory((long) rows.length * stride);
    final float[] scales = new float[stride / 64 * scaleStride];
    for (int output = 0; output < rows.length; output++) {
      final float[] row = rows[output];
      final QuantisedRow quantised = QuantisedRow.of(inputs, i -> row[i]);
      MemorySegment.copy(
          quantised.weights(), 0, weights, ValueLayout.JAVA_BYTE, (long) output * stride, stride);
      for (int group = 0; group < stride / 64; group++) {
        scales[group * scaleStride + output] = quantised.scales()[group];
      }
    }
    final long address = driver.allocate(weights.byteSize());
    driver.upload(weights, address);
    return new DeviceMatrix(address, rows.length, inputs, stride, bias, data.floats(scales));
  }

  @Test
  void shouldMultiplyARowAloneAsInAnyBatch() {
    // given
    final float[][] x = matrix(150, 192);
    final DeviceMatrix weight = weight(matrix(70, 192), 192, 0);
    final int stride = DeviceMatrix.padded(70);
    final long y = data.zeros(2L * 150 * stride);
    kernels.multiply(data.bf16(x, 192), weight, y, stride, 150);
    final float[][] together = data.readBf16(y, 150, stride, 70);

    for (final int count : new int[] {1, 16, 17, 64, 100}) {
      for (final int first : new int[] {0, 33, 150 - count}) {
        // when
        final long some = data.bf16(Arrays.copyOfRange(x, first, first + count), 192);
        kernels.multiply(some, weight, y, stride, count);

        // then
        assertThat(data.readBf16(y, count, stride, 70))
            .isDeepEqualTo(Arrays.copyOfRange(together, first, first + count));
      }
    }
  }

  // ---- rows

  @ParameterizedTest
  @ValueSource(ints = {8, 64, 255, 256, 1000})
  void shouldAddAndNormalise(final int width) {
    // given
    final int rows = 3;
    final float[][] residual = floats(rows, width);
    final float[][] delta = matrix(rows, width);
    final float[] weight = floats(1, width)[0];
    final float[] bias = floats(1, width)[0];
    final int stride = DeviceMatrix.padded(width);
    for (final boolean layerNorm : new boolean[] {false, true}) {
      final Norm norm = new Norm(data.floats(weight), layerNorm ? data.floats(bias) : 0);
      final long stream = data.floats(flat(residual));
      final long normed = data.zeros(2L * rows * stride);

      // when all rows are normalised, then two of them once more without adding
      kernels.normalise(
          stream, data.bf16(delta, stride), stride, 0, width, norm, 1e-5f, normed, stride, rows);
      final float[][] all = data.readBf16(normed, rows, stride, width);
      kernels.normalise(stream, 0, 0, data.ints(2, 0), width, norm, 1e-5f, normed, stride, 2);
      final float[][] selected = data.readBf16(normed, 2, stride, width);

      // then
      for (int row = 0; row < rows; row++) {
        final float[] sum = new float[width];
        for (int i = 0; i < width; i++) {
          sum[i] = residual[row][i] + delta[row][i];
        }
        assertThat(data.readFloats(stream, rows, width, width)[row]).isEqualTo(sum);
        final double[] expected = normalised(sum, weight, layerNorm ? bias : null);
        for (int i = 0; i < width; i++) {
          assertThat((double) all[row][i])
              .isCloseTo(expected[i], within(0.005 * Math.abs(expected[i]) + 1e-5));
        }
      }
      assertThat(selected).isDeepEqualTo(new float[][] {all[2], all[0]});
    }
  }

  private static double[] normalised(final float[] x, final float[] weight, final float[] bias) {
    final double mean =
        bias == null ? 0 : IntStream.range(0, x.length).mapToDouble(i -> x[i]).sum() / x.length;
    double squares = 0;
    for (final float value : x) {
      squares += (value - mean) * (value - mean);
    }
    final double scale = 1 / Math.sqrt(squares / x.length + 1e-5);
    return IntStream.range(0, x.length)
        .mapToDouble(i -> (x[i] - mean) * scale * weight[i] + (bias == null ? 0 : bias[i]))
        .toArray();
  }

  @Test
  void shouldActivate() {
    // given
    final int width = 300;
    final float[][] up = matrix(2, 2 * width);
    final int upStride = DeviceMatrix.padded(2 * width);
    final int stride = DeviceMatrix.padded(width);
    final long from = data.bf16(up, upStride);
    final long to = data.zeros(2L * 2 * stride);

    // when, then
    kernels.activate(true, from, upStride, to, stride, width, 2);
    final float[][] gated = data.readBf16(to, 2, stride, width);
    kernels.activate(false, from, upStride, to, stride, width, 2);
    final float[][] plain = data.readBf16(to, 2, stride, width);
    for (int row = 0; row < 2; row++) {
      for (int i = 0; i < width; i++) {
        final double x = up[row][i];
        assertThat((double) gated[row][i])
            .isCloseTo(x / (1 + Math.exp(-x)) * up[row][width + i], within(0.02));
        // by tanh, which is close to the exact function
        final double inner = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);
        assertThat((double) plain[row][i])
            .isCloseTo(0.5 * x * (1 + Math.tanh(inner)), within(0.02));
      }
    }
  }

  // ---- attention

  /** One sequence's keys and values, and what its queries make of them. */
  private final class Sequence {
    private final Heads heads;
    private final int window;
    private final float[][] queryKeyValue;
    private final int[] blocks;
    private final long cache;

    private Sequence(final Heads heads, final int length, final int window) {
      this.heads = heads;
      this.window = window;
      queryKeyValue = matrix(length, (heads.query() + 2 * heads.keyValue()) * heads.dim());
      // Blocks in falling order, every second one never written and full of NaN.
      final int count = Math.ceilDiv(length, BLOCK_TOKENS);
      blocks = IntStream.range(0, count).map(i -> 2 * (count - 1 - i) + 1).toArray();
      cache = driver.allocate(heads.blockBytes() * 2 * count);
      if (heads.dim() < heads.paddedDim()) {
        driver.fillWithZeros(cache, heads.blockBytes() * 2 * count);
      }
    }

    /** Computes some positions as one slice of a batch. */
    private float[][] attend(final int start, final int count, final int maxPartials) {
      final Slice slice =
          new Slice(
              1,
              start,
              count,
              new Input.Known(new int[count]),
              blocks,
              Optional.empty(),
              Optional.empty());
      final Readout readout = new Readout(1, 1);
      readout.begin(List.of(slice));
      final BatchPlan plan = new BatchPlan(heads, count, maxPartials, count == 1);
      plan.plan(List.of(slice), new int[count], readout);
      final long planned = data.ints(Arrays.copyOf(plan.values(), plan.length()));
      final int stride = queryKeyValue[0].length;
      final long from = data.bf16(Arrays.copyOfRange(queryKeyValue, start, start + count), stride);
      final long queries = data.zeros(2L * count * heads.query() * heads.paddedDim());
      final float[] still = new float[queryKeyValue.length * heads.dim() / 2];
      final float[] ones = still.clone();
      Arrays.fill(ones, 1);
      kernels.rotateAndStore(
          from,
          stride,
          new Rotation(
              planned + 4L * plan.positions(),
              planned + 4L * plan.slots(),
              data.floats(ones),
              data.floats(still)),
          HeadNorms.NONE,
          0,
          heads,
          queries,
          cache,
          count);
      final int width = heads.query() * heads.dim();
      final long output = data.zeros(2L * count * width);
      final long partials = driver.allocate(maxPartials * heads.partialBytes());
      final long table = planned + 4L * plan.table();
      if (plan.manyItems() > 0) {
        kernels.attend(
            4,
            plan.manyItems(),
            queries,
            cache,
            table,
            planned + 4L * plan.many(),
            heads,
            window,
            output,
            width,
            partials);
      }
      if (plan.fewItems() > 0) {
        kernels.attend(
            1,
            plan.fewItems(),
            queries,
            cache,
            table,
            planned + 4L * plan.few(),
            heads,
            window,
            output,
            width,
            partials);
      }
      if (plan.splitItems() > 0) {
        kernels.mergeSpans(
            plan.splitItems(), partials, planned + 4L * plan.split(), heads, output, width);
      }
      return data.readBf16(output, count, width, width);
    }

    private double[] expected(final int position) {
      final double[] output = new double[heads.query() * heads.dim()];
      for (int head = 0; head < heads.query(); head++) {
        final int keys = (heads.query() + head / heads.group()) * heads.dim();
        final int values = keys + heads.keyValue() * heads.dim();
        final int first = (int) Math.max(0, position + 1L - window);
        double total = 0;
        for (int key = first; key <= position; key++) {
          double score = 0;
          for (int d = 0; d < heads.dim(); d++) {
            score += queryKeyValue[position][head * heads.dim() + d] * queryKeyValue[key][keys + d];
          }
          final double weight = Math.exp(score / Math.sqrt(heads.dim()));
          total += weight;
          for (int d = 0; d < heads.dim(); d++) {
            output[head * heads.dim() + d] += weight * queryKeyValue[key][values + d];
          }
        }
        for (int d = 0; d < heads.dim(); d++) {
          output[head * heads.dim() + d] /= total;
        }
      }
      return output;
    }
  }

  @ParameterizedTest
  @CsvSource({
    "2, 2, 64, 64, 1000",
    "2, 1, 128, 128, 1000",
    "4, 1, 12, 16, 1000",
    "4, 2, 24, 32, 300",
    "3, 1, 64, 64, 40",
    "18, 1, 8, 16, 1000"
  })
  void shouldAttendAlikeInEveryChunkAndCloseToTheReference(
      final int queryHeads,
      final int kvHeads,
      final int dim,
      final int paddedDim,
      final int window) {
    final Heads heads = new Heads(queryHeads, kvHeads, dim, paddedDim);
    // given a sequence over three spans, computed in one chunk
    final int length = 530;
    final Sequence sequence = new Sequence(heads, length, window);
    final float[][] whole = sequence.attend(0, length, 1);
    for (final int position : new int[] {0, 1, 15, 16, 31, 32, 255, 256, 300, 512, 529}) {
      final double[] expected = sequence.expected(position);
      for (int i = 0; i < expected.length; i++) {
        assertThat((double) whole[position][i]).isCloseTo(expected[i], within(0.02));
      }
    }

    // when its end is computed again in other chunks, split into spans or not
    for (final int[] chunk : new int[][] {{529, 1}, {511, 1}, {512, 2}, {497, 33}, {255, 3}}) {
      for (final int maxPartials : new int[] {1, 100}) {
        // then
        assertThat(sequence.attend(chunk[0], chunk[1], maxPartials))
            .isDeepEqualTo(Arrays.copyOfRange(whole, chunk[0], chunk[0] + chunk[1]));
      }
    }
  }

  // ---- the twin itself

  @Test
  void shouldRefuseALaunchWithTooLittleSharedMemory() {
    final DeviceMatrix weight = weight(matrix(32, 64), 64, 0);
    driver.launch(
        new Launch(
            "logits_16x32",
            1,
            1,
            64,
            1024,
            data.bf16(matrix(1, 64), 64),
            weight.address(),
            64,
            0L,
            data.zeros(256),
            64,
            1,
            32));
    assertThatThrownBy(driver::synchronize)
        .isInstanceOf(DeviceException.class)
        .hasMessageContaining("logits_16x32: cp.async beyond the block's 1024 bytes");
  }

  // ---- values

  private DeviceMatrix weight(final float[][] rows, final int inputs, final long bias) {
    final int stride = DeviceMatrix.padded(inputs);
    return new DeviceMatrix(data.bf16(rows, stride), rows.length, inputs, stride, bias);
  }

  /** Values that bfloat16 holds. */
  private float[][] matrix(final int rows, final int width) {
    final float[][] values = floats(rows, width);
    for (final float[] row : values) {
      for (int i = 0; i < width; i++) {
        row[i] = DeviceData.rounded(row[i]);
      }
    }
    return values;
  }

  private float[][] floats(final int rows, final int width) {
    final float[][] values = new float[rows][width];
    for (final float[] row : values) {
      for (int i = 0; i < width; i++) {
        row[i] = (float) random.nextGaussian();
      }
    }
    return values;
  }

  private static float[] flat(final float[][] rows) {
    final float[] all = new float[rows.length * rows[0].length];
    for (int row = 0; row < rows.length; row++) {
      System.arraycopy(rows[row], 0, all, row * rows[0].length, rows[0].length);
    }
    return all;
  }
}
