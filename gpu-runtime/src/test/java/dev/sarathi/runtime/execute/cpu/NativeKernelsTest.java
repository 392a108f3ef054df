package dev.sarathi.runtime.execute.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.model.DataType;
import dev.sarathi.runtime.model.Model;
import dev.sarathi.runtime.model.Tensor;
import dev.sarathi.runtime.model.Weights.Projection;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.assertj.core.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Where the build has native kernels and the processor can run them. */
class NativeKernelsTest {
  private static final boolean MISSING = !KernelSet.NATIVE.obstacle().isEmpty();

  private static void requireTheKernels() {
    Assumptions.assumeThat(KernelSet.NATIVE.obstacle()).isEmpty();
  }

  /** A compiler that refuses them leaves them out without failing the build. */
  @Test
  void shouldBeBuiltWhereACompilerCan() throws InterruptedException {
    Assumptions.assumeThat(System.getProperty("os.name")).isEqualTo("Linux");
    Assumptions.assumeThat(compiles("-mavx512bf16")).as("a C compiler is at hand").isTrue();
    assertThat(KernelSet.NATIVE.obstacle()).doesNotContain("this build");
  }

  private static boolean compiles(final String option) throws InterruptedException {
    try {
      return new ProcessBuilder("cc", option, "-x", "c", "-S", "/dev/null", "-o", "/dev/null")
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start()
              .waitFor()
          == 0;
    } catch (final IOException e) {
      return false;
    }
  }

  @Property(tries = 300)
  void shouldMultiplyBfloat16AsSpecifiedForEveryShape(
      @ForAll @IntRange(min = 1, max = 30) final int rows,
      @ForAll @IntRange(min = 1, max = 300) final int outputs,
      @ForAll @IntRange(min = 1, max = 2100) final int inputs,
      @ForAll final boolean biased,
      @ForAll @IntRange(max = 15) final int spread,
      @ForAll final long seed) {
    if (MISSING) {
      return; // a property has no assumptions that hold for all tries
    }
    // given: weights of ever more exponents, and some zeros
    final Random random = new Random(seed);
    final Tensor weight = KernelsTest.tensor(random, DataType.BF16, outputs, inputs);
    for (int i = 0; i < outputs * inputs; i++) {
      final double scale = random.nextInt(50) == 0 ? 0 : Math.exp(spread * random.nextGaussian());
      KernelsTest.set(weight, i, (float) (weight.get(i) * scale));
    }
    final Tensor bias = KernelsTest.vector(random, outputs);
    final float[] x = KernelsTest.floats(random, rows * inputs);

    // when
    final NativeBf16Matrix packed =
        (NativeBf16Matrix) pack(WeightFormat.STORED, weight, bias, biased);
    final float[] y = KernelsTest.multiply(packed, rows, x);

    // then
    final float[][] all = KernelsTest.split(weight.toFloats(), outputs);
    final float[][] expected =
        ScalarKernels.multiplyPairs(
            KernelsTest.split(x, rows),
            all,
            biased ? bias.toFloats() : new float[outputs],
            apart(packed, outputs));
    for (int row = 0; row < rows; row++) {
      final int from = row * packed.stride();
      assertThat(Arrays.copyOfRange(y, from, from + outputs)).isEqualTo(expected[row]);
    }
    // and no weight has lost a bit
    final float[] lookedUp = new float[inputs];
    for (int output = 0; output < outputs; output++) {
      packed.copyOutput(output, lookedUp, 0);
      assertThat(lookedUp).isEqualTo(all[output]);
    }
  }

  @Test
  void shouldKeepFewWeightsOfANormalDistributionApart() {
    requireTheKernels();
    // given: with some outliers, as models have them
    final int outputs = 96;
    final int inputs = 2048;
    final Random random = new Random(1);
    final Tensor weight = KernelsTest.tensor(random, DataType.BF16, outputs, inputs);
    for (int i = 0; i < 20; i++) {
      KernelsTest.set(weight, random.nextInt(outputs * inputs), 1e4f);
    }

    // when
    final NativeBf16Matrix packed =
        (NativeBf16Matrix) pack(WeightFormat.STORED, weight, KernelsTest.vector(random, 1), false);

    // then
    assertThat(IntStream.range(0, outputs).flatMap(packed::apart).count())
        .isBetween(20L, outputs * inputs / 4_000L);
    assertThat(packed.bytes()).isLessThan(outputs * inputs * 2L * 3 / 4 + 1_000);
  }

  private static boolean[][] apart(final NativeBf16Matrix packed, final int outputs) {
    final boolean[][] apart = new boolean[outputs][packed.inputs()];
    for (int output = 0; output < outputs; output++) {
      final boolean[] of = apart[output];
      packed.apart(output).forEach(input -> of[input] = true);
    }
    return apart;
  }

  @Property(tries = 300)
  void shouldMultiplyBytesForEveryShape(
      @ForAll @IntRange(min = 1, max = 20) final int rows,
      @ForAll @IntRange(min = 1, max = 300) final int outputs,
      @ForAll @IntRange(min = 1, max = 2100) final int inputs,
      @ForAll final DataType type,
      @ForAll final boolean biased,
      @ForAll final long seed) {
    if (MISSING) {
      return; // a property has no assumptions that hold for all tries
    }
    // given
    final Random random = new Random(seed);
    final Tensor weight = KernelsTest.tensor(random, type, outputs, inputs);
    final Tensor bias = KernelsTest.vector(random, outputs);
    final float[] x = KernelsTest.floats(random, rows * inputs);

    // when
    final PackedMatrix packed = pack(WeightFormat.INT8, weight, bias, biased);
    final float[] y = KernelsTest.multiply(packed, rows, x);

    // then
    final float[][] expected =
        ScalarKernels.multiplyBytes(
            KernelsTest.split(x, rows),
            KernelsTest.split(weight.toFloats(), outputs),
            biased ? bias.toFloats() : new float[outputs]);
    for (int row = 0; row < rows; row++) {
      final int from = row * packed.stride();
      assertThat(Arrays.copyOfRange(y, from, from + outputs)).isEqualTo(expected[row]);
    }
  }

  /** A single row is taken in longer pieces than several are. */
  @ParameterizedTest
  @ValueSource(ints = {6143, 6144, 6145, 12_287, 12_288, 12_289, 14_336})
  void shouldMultiplyALoneRowOfAnyLength(final int inputs) {
    requireTheKernels();
    shouldMultiplyBfloat16AsSpecifiedForEveryShape(1, 70, inputs, true, 1, inputs);
    shouldMultiplyBytesForEveryShape(1, 70, inputs, DataType.BF16, true, inputs);
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama-bf16", "mistral-full", "qwen3-bias"})
  void shouldErrAtMostTwiceAsMuchAsTheFrameworkInBfloat16(final String name) throws IOException {
    requireTheKernels();
    final Path directory = Golden.LLAMA2.resolveSibling(name);
    final List<Golden> goldens = Golden.read(directory);
    final float[][] framework =
        JsonMapper.builder()
            .build()
            .readValue(directory.resolve("bfloat16.json").toFile(), float[][].class);
    double error = 0;
    double allowed = 0;
    try (Model model = Model.open(directory);
        CpuExecutor executor =
            new CpuExecutor(model, 128, 512, 2, WeightFormat.STORED, KernelSet.NATIVE)) {
      assertThat(executor.limits().numericsId()).isEqualTo("cpu-native-1/bf16/kv-f32");
      for (int i = 0; i < goldens.size(); i++) {
        final Generations generations = new Generations(executor, 1);
        final var running = generations.add(goldens.get(i).prompt(), 1);
        generations.finish(64);
        error += squares(running.logits.getFirst(), goldens.get(i).logits());
        allowed += squares(framework[i], goldens.get(i).logits());
      }
    }
    assertThat(Math.sqrt(error)).isPositive().isLessThan(2 * Math.sqrt(allowed));
  }

  @ParameterizedTest
  @EnumSource(WeightFormat.class)
  void shouldComputeTheSameBitsInEveryCompany(final WeightFormat format) {
    requireTheKernels();
    final List<Golden> goldens = Golden.read(Golden.STORYTELLER).subList(0, 8);
    try (Model model = Model.open(Golden.STORYTELLER)) {
      // given each story told alone, its prompt in one piece
      final List<List<float[]>> alone = new ArrayList<>();
      try (CpuExecutor executor = new CpuExecutor(model, 512, 1024, 1, format, KernelSet.NATIVE)) {
        for (final Golden golden : goldens) {
          final Generations generations = new Generations(executor, 1);
          alone.add(generations.add(golden.prompt(), 20).logits);
          generations.finish(1024);
        }
      }
      for (final int budget : new int[] {16, 50, 500}) {
        try (CpuExecutor executor =
            new CpuExecutor(model, 512, 1024, 2, format, KernelSet.NATIVE)) {
          // when decodes of the first run beside chunks of the last
          final Generations generations = new Generations(executor, budget);
          goldens.forEach(golden -> generations.add(golden.prompt(), 20));
          final var running = generations.finish(budget);

          // then
          for (int i = 0; i < goldens.size(); i++) {
            CpuExecutorTest.assertSame(running.get(i).logits, alone.get(i));
          }
        }
      }
    }
  }

  private static double squares(final float[] actual, final float[] expected) {
    double sum = 0;
    for (int i = 0; i < expected.length; i++) {
      sum += Math.pow((double) actual[i] - expected[i], 2);
    }
    return sum;
  }

  private static PackedMatrix pack(
      final WeightFormat format, final Tensor weight, final Tensor bias, final boolean biased) {
    return PackedMatrix.pack(
        new WeightLoader(Path.of("model"), Arena.ofAuto(), KernelSet.NATIVE, format, 1e-5f),
        List.of(Projection.of(weight, Optional.of(bias).filter(b -> biased))));
  }
}
