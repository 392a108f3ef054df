package dev.sarathi.runtime.execute.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.runtime.execute.ExecutorFailedException;
import dev.sarathi.runtime.execute.Limits;
import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.execute.cpu.CpuExecutor;
import dev.sarathi.runtime.execute.cpu.Generations;
import dev.sarathi.runtime.execute.cpu.Golden;
import dev.sarathi.runtime.execute.cpu.KernelSet;
import dev.sarathi.runtime.model.Model;
import dev.sarathi.runtime.model.ModelFormatException;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Input;
import dev.sarathi.runtime.schedule.SamplingPlan;
import dev.sarathi.runtime.schedule.SamplingRule;
import dev.sarathi.runtime.schedule.Slice;
import dev.sarathi.runtime.schedule.StepResult;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The whole executor over the CPU twin of a GPU. */
class CudaExecutorTest {

  @BeforeEach
  void requireTwin() {
    assumeThat(TwinDriver.built()).as("a C++ compiler was there to build the twin").isTrue();
  }

  private static CudaExecutor open(final Model model, final int rows, final long seed) {
    return new CudaExecutor(new TwinDriver(seed), model, rows, 1024, free -> 128);
  }

  static List<Path> families() {
    return Golden.families();
  }

  /**
   * What computes in bfloat16 cannot be as close to the reference as the CPU executor is. The
   * measure is how far transformers, in bfloat16, are from themselves in float.
   */
  @ParameterizedTest
  @MethodSource("families")
  void shouldComeCloseToTheReferenceAndGiveTheSameBitsInEveryCompany(final Path directory)
      throws IOException {
    final JsonNode frameworkErrors =
        new ObjectMapper()
            .readTree(Path.of("src/test/resources/golden-bf16.json").toFile())
            .get(directory.getFileName().toString());
    // the longest prompt, of more than two spans of keys, takes the twin seconds: once is enough
    final int longest = directory.equals(Golden.LLAMA3) ? 1000 : 100;
    final List<Golden> goldens =
        Golden.read(directory).stream().filter(golden -> golden.prompt().length < longest).toList();
    try (Model model = Model.open(directory)) {
      // given each prompt alone, in one piece
      final List<List<float[]>> alone = new ArrayList<>();
      try (CudaExecutor executor = open(model, 512, 1)) {
        for (int i = 0; i < goldens.size(); i++) {
          final Generations generations = new Generations(executor, 1);
          alone.add(generations.add(goldens.get(i).prompt(), 3).logits);
          generations.finish(512);
          assertThat(distance(alone.getLast().getFirst(), goldens.get(i).logits()))
              .isLessThan(2 * frameworkErrors.get(i).asDouble());
        }
      }
      try (CudaExecutor executor = open(model, 37, 2)) {
        // when all run together, in other chunks
        final Generations generations = new Generations(executor, 2);
        goldens.forEach(golden -> generations.add(golden.prompt(), 3));
        final var running = generations.finish(64);

        // then
        for (int i = 0; i < goldens.size(); i++) {
          assertSame(running.get(i).logits, alone.get(i));
        }
      }
    }
  }

  @Test
  void shouldGoOnWithAStoryAsTheReferenceDoesWhereThatIsSure() {
    // given a story up to several of its tokens
    final Golden story = Golden.read(Golden.STORYTELLER).getFirst();
    final List<int[]> beginnings =
        IntStream.range(0, story.greedy().length / 4)
            .mapToObj(i -> beginning(story, 4 * i))
            .toList();
    try (Model model = Model.open(Golden.STORYTELLER);
        CpuExecutor reference = new CpuExecutor(model, 128, 512, 1);
        CudaExecutor executor = open(model, 512, 3)) {
      // when
      final Generations expected = new Generations(reference, 1);
      final Generations actual = new Generations(executor, 1);
      beginnings.forEach(prompt -> expected.add(prompt, 1));
      beginnings.forEach(prompt -> actual.add(prompt, 1));
      final var expectedTokens = expected.finish(512);
      final var actualTokens = actual.finish(512);

      // then
      int sure = 0;
      for (int i = 0; i < beginnings.size(); i++) {
        final float[] logits = expectedTokens.get(i).logits.getFirst();
        assertThat(distance(actualTokens.get(i).logits.getFirst(), logits)).isLessThan(0.03);
        if (margin(logits) > 0.5) {
          assertThat(actualTokens.get(i).generated()).isEqualTo(expectedTokens.get(i).generated());
          sure++;
        }
      }
      assertThat(sure).isGreaterThan(beginnings.size() / 2);
    }
  }

  private static int[] beginning(final Golden story, final int tokens) {
    return IntStream.concat(
            Arrays.stream(story.prompt()), Arrays.stream(story.greedy()).limit(tokens))
        .toArray();
  }

  /** By how much the largest of these is larger than the next. */
  private static float margin(final float[] logits) {
    final float[] sorted = logits.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length - 1] - sorted[sorted.length - 2];
  }

  @Test
  void shouldFailOnlyTheSequenceWhoseLogitsAreNotNumbers(@TempDir final Path directory)
      throws IOException {
    // given a model whose embedding of token 5 is so large that its mean overflows
    Golden.poison(
        Golden.FALCON_SEQUENTIAL,
        directory,
        "transformer.word_embeddings.weight",
        5 * 32,
        32,
        3e38f);
    try (Model model = Model.open(directory);
        CudaExecutor executor = open(model, 64, 4)) {
      // when
      final StepResult result = run(executor, 0, slice(1, 0, 5), slice(2, 1, 7));

      // then
      assertThat(result.sampled()).singleElement().returns(2L, StepResult.Sampled::sequence);
      assertThat(result.failures()).singleElement().returns(1L, StepResult.Failure::sequence);
      assertThat(result.failures().getFirst().message()).contains("NaN");

      // and a block that held NaN serves the next sequence well
      assertThat(run(executor, 1, slice(3, 0, 7)).sampled().getFirst().token())
          .isEqualTo(result.sampled().getFirst().token());
    }
  }

  /** The CPU executor, with the same quantised weights but activations in float, is the measure. */
  @Test
  void shouldComeCloseToTheCpuWithQuantisedWeightsAndGiveTheSameBitsInEveryCompany() {
    final List<Golden> goldens = Golden.read(Golden.LLAMA3).subList(0, 3);
    try (Model model = Model.open(Golden.LLAMA3);
        CpuExecutor cpu = new CpuExecutor(model, 128, 512, 1, WeightFormat.INT8, KernelSet.JAVA);
        CudaExecutor alone = quantised(model, 512, 10);
        CudaExecutor together = quantised(model, 37, 11)) {
      final Generations running = new Generations(together, 2);
      goldens.forEach(golden -> running.add(golden.prompt(), 3));
      final var inCompany = running.finish(64);
      for (int i = 0; i < goldens.size(); i++) {
        final Generations reference = new Generations(cpu, 1);
        final Generations single = new Generations(alone, 1);
        final var expected = reference.add(goldens.get(i).prompt(), 3);
        final var actual = single.add(goldens.get(i).prompt(), 3);
        reference.finish(512);
        single.finish(512);
        assertThat(distance(actual.logits.getFirst(), expected.logits.getFirst())).isLessThan(0.03);
        assertSame(inCompany.get(i).logits, actual.logits);
      }
      assertThat(alone.limits().numericsId()).isEqualTo("cuda-1/twin/int8/kv-bf16");
    }
  }

  private static CudaExecutor quantised(final Model model, final int rows, final long seed) {
    return new CudaExecutor(
        new TwinDriver(seed), model, rows, 1024, WeightFormat.INT8, true, free -> 128);
  }

  @Test
  void shouldDrawTheSameTokensFromFewLogitsAsFromAll() {
    // given rules of which some need all logits
    final List<SamplingRule> rules =
        List.of(
            SamplingRule.GREEDY,
            SamplingRule.drawing(0.8f, 0.02f, 20, 0.9f, 1),
            SamplingRule.drawing(1.2f, 0, 0, 0.9f, 2),
            SamplingRule.drawing(1, 0, 0, 1, 3),
            SamplingRule.drawing(0.7f, 0, 3, 1, 4),
            SamplingRule.GREEDY.withPenalties(new SamplingRule.Penalties(1.5f, 0, 0)));
    final CountingDriver few = new CountingDriver(7);
    final CountingDriver all = new CountingDriver(8);

    // when
    final List<int[]> expected = generate(all.driver(), rules, true);
    final List<int[]> actual = generate(few.driver(), rules, false);

    // then
    assertThat(actual.toArray(int[][]::new)).isDeepEqualTo(expected.toArray(int[][]::new));
    assertThat(few.downloadedBytes).isLessThan(all.downloadedBytes / 4);
    for (int i = 0; i < rules.size(); i++) {
      final List<int[]> alone = generate(new TwinDriver(9), rules.subList(i, i + 1), false);
      assertThat(alone.getFirst()).as("%s", rules.get(i)).isEqualTo(expected.get(i));
    }
  }

  @Test
  void shouldFetchTwelveBytesForAGreedyToken() {
    final CountingDriver driver = new CountingDriver(9);
    generate(driver.driver(), List.of(SamplingRule.GREEDY, SamplingRule.GREEDY), false);
    assertThat(driver.downloadedBytes).isEqualTo(2 * 5 * 12);
  }

  @Test
  void shouldFetchFewBytesForATokenThatIsDrawn() {
    final List<SamplingRule> rules =
        List.of(
            SamplingRule.drawing(1, 0, 0, 1, 1),
            SamplingRule.drawing(2, 0.05f, 0, 1, 2),
            SamplingRule.drawing(1, 0, 0, 0.95f, 3),
            SamplingRule.drawing(0.8f, 0, 100, 0.9f, 4));
    final CountingDriver driver = new CountingDriver(10);
    generate(driver.driver(), rules, false);
    assertThat(driver.downloadedBytes).isEqualTo(4 * 5 * 68);
  }

  private static List<int[]> generate(
      final Driver driver, final List<SamplingRule> rules, final boolean returnLogits) {
    try (Model model = Model.open(Golden.LLAMA3);
        CudaExecutor executor = new CudaExecutor(driver, model, 64, 1024, free -> 128)) {
      final Generations generations = new Generations(executor, 1);
      for (int i = 0; i < rules.size(); i++) {
        final SamplingRule rule = rules.get(i).withReturnLogits(returnLogits);
        generations.add(new int[] {3 + (int) rule.seed(), 7, 1}, 5, rule);
      }
      return generations.finish(64).stream().map(Generations.Running::generated).toList();
    }
  }

  @Test
  void shouldRefuseAWeightThatIsNoNumberAsBfloat16(@TempDir final Path directory)
      throws IOException {
    Golden.poison(Golden.FALCON_SEQUENTIAL, directory, "lm_head.weight", 5, 1, Float.MAX_VALUE);
    try (Model model = Model.open(directory)) {
      assertThatThrownBy(() -> open(model, 64, 5))
          .isInstanceOf(ModelFormatException.class)
          .hasMessageContaining("tensor lm_head.weight is 3.4028235E38 at [0, 5]");
    }
  }

  @Test
  void shouldBreakWhenTheDeviceFails() {
    final AtomicBoolean failing = new AtomicBoolean();
    final TwinDriver twin = new TwinDriver(6);
    final Driver driver =
        (Driver)
            Proxy.newProxyInstance(
                Driver.class.getClassLoader(),
                new Class<?>[] {Driver.class},
                (proxy, method, arguments) -> {
                  if (failing.get() && method.getName().equals("synchronize")) {
                    throw new DeviceException("an illegal address");
                  }
                  try {
                    return method.invoke(twin, arguments);
                  } catch (final InvocationTargetException e) {
                    throw e.getCause();
                  }
                });
    try (Model model = Model.open(Golden.LLAMA2);
        CudaExecutor executor = new CudaExecutor(driver, model, 64, 1024, free -> 4)) {
      failing.set(true);
      assertThatThrownBy(() -> run(executor, 0, slice(1, 0, 5)))
          .isInstanceOf(ExecutorFailedException.class)
          .hasRootCauseMessage("an illegal address");
      assertThat(executor.accepts()).isFalse();
    }
  }

  @Test
  void shouldNameWhatItsBitsDependOn() {
    try (Model model = Model.open(Golden.LLAMA3);
        CudaExecutor executor = open(model, 64, 7)) {
      assertThat(executor.limits()).isEqualTo(new Limits(128, 16, 2, "cuda-1/twin/bf16/kv-bf16"));
      assertThat(CudaExecutor.kvBytesPerBlock(model.config())).isEqualTo(2L * 2 * 16 * 3 * 2 * 16);
    }
  }

  /** A prompt of one token. */
  private static Slice slice(final long sequence, final int block, final int token) {
    return new Slice(
        sequence,
        0,
        1,
        new Input.Known(new int[] {token}),
        new int[] {block},
        Optional.of(SamplingPlan.first(SamplingRule.GREEDY)),
        Optional.empty());
  }

  private static StepResult run(
      final CudaExecutor executor, final long batch, final Slice... slices) {
    executor.submit(new Batch(batch, List.of(slices)));
    return executor.await(Long.MAX_VALUE).orElseThrow();
  }

  private static void assertSame(final List<float[]> actual, final List<float[]> expected) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < expected.size(); i++) {
      assertThat(Arrays.equals(actual.get(i), expected.get(i))).as("logits %d", i).isTrue();
    }
  }

  private static double distance(final float[] actual, final float[] expected) {
    double error = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      error += Math.pow((double) actual[i] - expected[i], 2);
      norm += Math.pow(expected[i], 2);
    }
    return Math.sqrt(error / norm);
  }
}
