package dev.sarathi.runtime.execute.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.withinPercentage;

import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.model.Model;
import dev.sarathi.runtime.model.ModelFormatException;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Input;
import dev.sarathi.runtime.schedule.SamplingPlan;
import dev.sarathi.runtime.schedule.SamplingRule;
import dev.sarathi.runtime.schedule.Slice;
import dev.sarathi.runtime.schedule.StepResult;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class CpuExecutorTest {

  static List<Path> families() {
    return Golden.families();
  }

  @ParameterizedTest
  @MethodSource("families")
  void shouldAgreeWithTheReferenceForEveryChunkPartAndThreadCount(final Path directory) {
    final List<Golden> goldens = Golden.read(directory);
    try (Model model = Model.open(directory)) {
      final List<List<float[]>> first = new ArrayList<>();
      for (int threads = 1; threads <= 2; threads++) {
        for (int[] budgetAndRows : new int[][] {{1024, 1024}, {16, 512}, {64, 23}, {512, 100}}) {
          final int budget = budgetAndRows[0];
          try (CpuExecutor executor = new CpuExecutor(model, 64, budgetAndRows[1], threads)) {
            for (int i = 0; i < goldens.size(); i++) {
              final Golden golden = goldens.get(i);
              // when
              final Generations generations = new Generations(executor, 31 * budget + threads);
              final var running = generations.add(golden.prompt(), golden.greedy().length);
              generations.finish(budget);

              // then
              assertThat(running.generated()).isEqualTo(golden.greedy());
              assertThat(distance(running.logits.getFirst(), golden.logits())).isLessThan(2e-5);
              if (first.size() == i) {
                first.add(running.logits);
              }
              assertSame(running.logits, first.get(i));
            }
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("families")
  void shouldComputeQuantisedWeightsAlikeInEveryCompanyAndCloseToTheReference(
      final Path directory) {
    final List<Golden> goldens = Golden.read(directory);
    try (Model model = Model.open(directory)) {
      // given each prompt alone, in one piece
      final List<List<float[]>> alone = new ArrayList<>();
      try (CpuExecutor executor = new CpuExecutor(model, 128, 1024, 1, WeightFormat.INT8)) {
        for (Golden golden : goldens) {
          final Generations generations = new Generations(executor, 1);
          alone.add(generations.add(golden.prompt(), 4).logits);
          generations.finish(1024);
          // the smallest models are drawn so wide that an error grows from layer to layer
          assertThat(distance(alone.getLast().getFirst(), golden.logits()))
              .isLessThan(model.config().hiddenSize() >= 64 ? 0.03 : 0.12);
        }
      }
      try (CpuExecutor executor = new CpuExecutor(model, 128, 37, 2, WeightFormat.INT8)) {
        // when
        final Generations generations = new Generations(executor, 2);
        goldens.forEach(golden -> generations.add(golden.prompt(), 4));
        final var running = generations.finish(64);

        // then
        for (int i = 0; i < goldens.size(); i++) {
          assertSame(running.get(i).logits, alone.get(i));
        }
      }
    }
  }

  @Test
  void shouldHoldQuantisedWeightsInAboutHalfTheMemory() {
    try (Model model = Model.open(Golden.STORYTELLER);
        CpuExecutor stored = new CpuExecutor(model, 4, 16, 1);
        CpuExecutor quantised = new CpuExecutor(model, 4, 16, 1, WeightFormat.INT8)) {
      // the embedding, tied to the head, stays as stored
      final long embedding = 912L * 128 * 2;
      assertThat((double) (quantised.weightBytes() - embedding))
          .isCloseTo((stored.weightBytes() - embedding) * 0.53125, withinPercentage(1));
      assertThat(quantised.limits().numericsId()).isEqualTo("cpu-1/bf16+i8g64/kv-f32");
    }
    try (Model model = Model.open(Golden.LLAMA2);
        CpuExecutor quantised = new CpuExecutor(model, 4, 16, 1, WeightFormat.INT8)) {
      assertThat(quantised.limits().numericsId()).isEqualTo("cpu-1/f32+i8g64/kv-f32");
    }
  }

  @Test
  void shouldComputeABatchOfMoreRowsThanItHasBuffersForInParts() {
    final List<Golden> goldens = Golden.read(Golden.LLAMA3);
    final int[] tail = {7, 200, 31};
    try (Model model = Model.open(Golden.LLAMA3)) {
      final List<StepResult> results = new ArrayList<>();
      for (int rows : new int[] {4096, 1, 5, 100}) {
        try (CpuExecutor executor = new CpuExecutor(model, 64, rows, 2)) {
          // given a token that the next batch begins with
          final Golden first = goldens.get(1);
          run(executor, 0, slice(1, 0, new Input.Known(first.prompt()), 7, 0));

          // when whole prompts run beside a decode and a slice that does not sample
          results.add(
              run(
                  executor,
                  1,
                  slice(2, 0, new Input.Known(goldens.get(3).prompt()), 200, blocks(1, 13)),
                  slice(1, 7, new Input.FromBatch(0, 0), 1, 0),
                  new Slice(
                      3,
                      0,
                      3,
                      new Input.Known(tail),
                      blocks(14, 1),
                      Optional.empty(),
                      Optional.empty()),
                  slice(4, 0, new Input.Known(goldens.get(4).prompt()), 523, blocks(15, 33))));
          assertThat(results.getLast().sampled())
              .extracting(StepResult.Sampled::token)
              .containsExactly(
                  goldens.get(3).greedy()[0], first.greedy()[1], goldens.get(4).greedy()[0]);

          // then a later batch finds its tokens
          final StepResult next =
              run(executor, 2, slice(4, 523, new Input.FromBatch(1, 3), 1, blocks(15, 33)));
          assertThat(next.sampled().getFirst().token()).isEqualTo(goldens.get(4).greedy()[1]);
        }
      }
      for (StepResult result : results) {
        for (int i = 0; i < 3; i++) {
          assertThat(result.sampled().get(i).logits().orElseThrow())
              .isEqualTo(results.getFirst().sampled().get(i).logits().orElseThrow());
        }
      }
    }
  }

  private static int[] blocks(final int first, final int count) {
    return IntStream.range(first, first + count).toArray();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "transformer.word_embeddings.weight",
        "transformer.h.1.input_layernorm.bias",
        "transformer.h.0.self_attention.query_key_value.weight",
        "transformer.h.0.self_attention.query_key_value.bias",
        "transformer.h.1.mlp.dense_4h_to_h.weight",
        "lm_head.weight"
      })
  void shouldRefuseAWeightThatIsNotANumber(final String tensor, @TempDir final Path directory)
      throws IOException {
    Golden.poison(Golden.FALCON_SEQUENTIAL, directory, tensor, 5, 1, Float.NaN);
    try (Model model = Model.open(directory)) {
      for (WeightFormat format : WeightFormat.values()) {
        assertThatThrownBy(() -> new CpuExecutor(model, 4, 16, 2, format))
            .isInstanceOf(ModelFormatException.class)
            .hasMessageStartingWith(directory + ": tensor " + tensor + " is NaN at [")
            .hasMessageContaining("5]; every weight must be a finite number");
      }
    }
  }

  @Test
  void shouldTellTheStoriesOfTheReferenceInEveryCompany() {
    final List<Golden> goldens = Golden.read(Golden.STORYTELLER);
    try (Model model = Model.open(Golden.STORYTELLER)) {
      // given each story told alone, its prompt in one piece
      final List<List<float[]>> alone = new ArrayList<>();
      try (CpuExecutor executor = new CpuExecutor(model, 512, 1024, 1)) {
        for (Golden golden : goldens) {
          final Generations generations = new Generations(executor, 1);
          final var running = generations.add(golden.prompt(), golden.greedy().length);
          generations.finish(1024);
          assertThat(running.generated()).isEqualTo(golden.greedy());
          alone.add(running.logits);
        }
      }
      for (int threads = 1; threads <= 2; threads++) {
        for (int budget : threads == 1 ? new int[] {1024} : new int[] {16, 500}) {
          try (CpuExecutor executor = new CpuExecutor(model, 512, 1024, threads)) {
            // when decodes of the first run beside chunks of the last
            final Generations generations = new Generations(executor, budget);
            goldens.forEach(g -> generations.add(g.prompt(), g.greedy().length));
            final var running = generations.finish(budget);

            // then
            for (int i = 0; i < goldens.size(); i++) {
              assertThat(running.get(i).generated()).isEqualTo(goldens.get(i).greedy());
              assertSame(running.get(i).logits, alone.get(i));
            }
          }
        }
      }
    }
  }

  @Test
  void shouldDrawTheSameTokensInEveryCompany() {
    final List<Golden> goldens = Golden.read(Golden.STORYTELLER).subList(0, 6);
    final SamplingRule rule = SamplingRule.drawing(0.8f, 0, 40, 0.95f, 7);
    try (Model model = Model.open(Golden.STORYTELLER);
        CpuExecutor executor = new CpuExecutor(model, 512, 1024, 2)) {
      final Generations together = new Generations(executor, 2);
      goldens.forEach(golden -> together.add(golden.prompt(), 40, rule));
      final var drawn = together.finish(64);
      for (int i = 0; i < goldens.size(); i++) {
        final Generations alone = new Generations(executor, 3);
        final var running = alone.add(goldens.get(i).prompt(), 40, rule);
        alone.finish(1024);
        assertThat(running.generated()).isEqualTo(drawn.get(i).generated());
        assertThat(running.generated()).isNotEqualTo(goldens.get(i).greedy());
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {128, 256})
  void shouldComputeTheSameBitsForEveryVectorWidth(final int bits) throws Exception {
    // when
    final String other =
        java(
            "--add-modules=jdk.incubator.vector",
            "-Dsarathi.test.vector.bits=" + bits,
            VectorWidthProbe.class.getName());

    // then
    assertThat(other).contains("vectors of " + bits + " bits");
    assertThat(other).contains("digest " + VectorWidthProbe.digest());
  }

  @Test
  void shouldNameTheFlagWhenTheVectorModuleIsMissing() throws Exception {
    assertThat(java(VectorWidthProbe.class.getName()))
        .contains("IllegalStateException")
        .contains("start java with --add-modules=jdk.incubator.vector")
        .doesNotContain("NoClassDefFoundError");
  }

  @Test
  void shouldFeedATokenThatAnEarlierBatchSampled() {
    final Golden golden = Golden.read(Golden.LLAMA3).get(1);
    final int[] blocks = {3, 1};
    try (Model model = Model.open(Golden.LLAMA3);
        CpuExecutor executor = new CpuExecutor(model, 4, 64, 1)) {
      final Slice prefill =
          slice(9, 0, new Input.Known(golden.prompt()), golden.prompt().length, blocks);
      assertThat(run(executor, 0, prefill).sampled().getFirst().token())
          .isEqualTo(golden.greedy()[0]);
      for (int i = 1; i < 20; i++) {
        final int position = golden.prompt().length + i - 1;
        final Slice decode = slice(9, position, new Input.FromBatch(i - 1, 0), 1, blocks);
        assertThat(run(executor, i, decode).sampled().getFirst().token())
            .isEqualTo(golden.greedy()[i]);
      }
    }
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
        Float.MAX_VALUE);
    final Golden golden = Golden.read(Golden.FALCON_SEQUENTIAL).getFirst();

    try (Model model = Model.open(directory);
        CpuExecutor executor = new CpuExecutor(model, 4, 64, 2)) {
      // when
      final StepResult result =
          run(
              executor,
              0,
              slice(1, 0, new Input.Known(new int[] {5}), 1, 0),
              slice(2, 0, new Input.Known(golden.prompt()), 1, 1));

      // then
      assertThat(result.sampled()).singleElement().returns(2L, StepResult.Sampled::sequence);
      assertThat(result.sampled().getFirst().token()).isEqualTo(golden.greedy()[0]);
      assertThat(result.failures()).singleElement().returns(1L, StepResult.Failure::sequence);
      assertThat(result.failures().getFirst().message()).contains("NaN");

      // and what depends on its token fails too
      assertThat(run(executor, 1, slice(1, 1, new Input.FromBatch(0, 0), 1, 0)).failures())
          .singleElement()
          .satisfies(f -> assertThat(f.message()).isEqualTo("row 0 of batch 0 has no token"));

      // and a block that held NaN serves the next sequence well
      assertThat(run(executor, 2, slice(3, 0, new Input.Known(golden.prompt()), 1, 0)).sampled())
          .singleElement()
          .returns(golden.greedy()[0], StepResult.Sampled::token);
    }
  }

  @Test
  void shouldRefuseABatchThatDoesNotFit() {
    try (Model model = Model.open(Golden.LLAMA2);
        CpuExecutor executor = new CpuExecutor(model, 4, 20, 1)) {
      final Input one = new Input.Known(new int[] {1});
      assertRefused(executor, "batch 0 has no slices");
      assertRefused(executor, "block 4; supported: 0 to 3", slice(1, 0, one, 1, 4));
      assertRefused(executor, "1 blocks", slice(1, 16, one, 1, 0));
      assertRefused(executor, "positions 1024 to 1025", slice(1, 1024, one, 1, new int[65]));
      assertRefused(executor, "token 256", slice(1, 0, new Input.Known(new int[] {256}), 1, 0));
      assertRefused(executor, "1 ids for 2", slice(1, 0, one, 2, 0));
      assertRefused(executor, "row 0 of batch 7", slice(1, 0, new Input.FromBatch(7, 0), 1, 0));
      assertThat(executor.accepts()).isTrue();
      assertThat(executor.await(0)).isEmpty();
    }
  }

  @Test
  void shouldTakeOneBatchAtATimeAndNoneWhenClosed() {
    try (Model model = Model.open(Golden.LLAMA2)) {
      final CpuExecutor executor = new CpuExecutor(model, 4, 20, 2);
      assertThat(executor.limits().batchesInFlight()).isEqualTo(1);
      assertThat(executor.limits().numericsId()).isEqualTo("cpu-1/f32/kv-f32");
      final Batch batch = new Batch(0, List.of(slice(1, 0, new Input.Known(new int[] {1}), 1, 0)));
      executor.submit(batch);
      assertThat(executor.accepts()).isFalse();
      assertThatThrownBy(() -> executor.submit(batch)).isInstanceOf(IllegalStateException.class);
      assertThat(executor.await(0)).isPresent();
      executor.close();
      executor.close();
      assertThat(executor.accepts()).isFalse();
      assertThatThrownBy(() -> executor.submit(batch)).hasMessageContaining("closed");
    }
  }

  @Test
  void shouldOutliveTheModelItWasLoadedFrom() {
    final Model model = Model.open(Golden.LLAMA2);
    try (CpuExecutor executor = new CpuExecutor(model, 4, 20, 1)) {
      model.close();
      final Golden golden = Golden.read(Golden.LLAMA2).getFirst();
      assertThat(run(executor, 0, slice(1, 0, new Input.Known(golden.prompt()), 1, 0)).sampled())
          .singleElement()
          .returns(golden.greedy()[0], StepResult.Sampled::token);
      assertThat(CpuExecutor.kvBytesPerBlock(model.config())).isEqualTo(2L * 16 * 3 * 64 * 4);
    }
  }

  private static void assertRefused(
      final CpuExecutor executor, final String problem, final Slice... slices) {
    assertThatThrownBy(() -> executor.submit(new Batch(0, List.of(slices))))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(problem);
  }

  private static Slice slice(
      final long sequence,
      final int start,
      final Input input,
      final int count,
      final int... blocks) {
    return new Slice(
        sequence,
        start,
        count,
        input,
        blocks,
        Optional.of(SamplingPlan.first(SamplingRule.GREEDY.withReturnLogits(true))),
        Optional.empty());
  }

  private static StepResult run(
      final CpuExecutor executor, final long batch, final Slice... slices) {
    executor.submit(new Batch(batch, List.of(slices)));
    return executor.await(Long.MAX_VALUE).orElseThrow();
  }

  static void assertSame(final List<float[]> actual, final List<float[]> expected) {
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

  /** Runs this test's classes in another JVM and returns what it prints. */
  private static String java(final String... arguments) throws IOException, InterruptedException {
    final List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("-cp");
    command.add(
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")));
    command.addAll(List.of(arguments));
    final Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    final String output = new String(process.getInputStream().readAllBytes());
    process.waitFor();
    return output;
  }
}
