package dev.sarathi.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.sarathi.runtime.execute.cpu.Golden;
import dev.sarathi.runtime.execute.cuda.TwinExecutor;
import dev.sarathi.runtime.model.Model;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The engine over the twin of a GPU, with two batches in flight. */
class CudaEngineTest {

  @BeforeEach
  void requireTwin() {
    assumeThat(TwinExecutor.isBuilt()).as("a C++ compiler was there to build the twin").isTrue();
  }

  private static GenerationEngine engine(final int kvBlocks, final int budget) {
    final EngineConfig config =
        EngineConfig.of(Golden.LLAMA3)
            .withMaxContext(64)
            .withTokenBudget(TokenBudget.of(budget))
            .withWarmUp(Duration.ZERO);
    try (Model model = Model.open(Golden.LLAMA3)) {
      return new GenerationEngine(
          config,
          new LoadedModel(
              "twin",
              "twin",
              64,
              model.config().vocabularySize(),
              OptionalInt.empty(),
              Set.of(2),
              Optional.empty(),
              Optional.empty(),
              TwinExecutor.open(model, kvBlocks, budget)));
    }
  }

  private static List<GenerationRequest> requests() {
    final List<Sampling> samplings =
        List.of(
            Sampling.GREEDY,
            Sampling.at(0.9f).withTopK(20).withTopP(0.9f).withSeed(7),
            Sampling.at(1).withSeed(8),
            Sampling.at(1).withPenalties(1.2f, 0.3f, 0.2f).withSeed(9));
    final Random random = new Random(4);
    final List<GenerationRequest> requests = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      requests.add(
          GenerationRequest.of(
                  "request-" + i, new Prompt.Tokens(random.ints(1 + 3 * i, 3, 90).toArray()))
              .withSampling(samplings.get(i % samplings.size()))
              .withMaxTokens(3 + 2 * i));
    }
    return requests;
  }

  private static List<List<Integer>> run(
      final GenerationEngine engine, final List<GenerationRequest> requests) throws Exception {
    final List<CompletableFuture<List<Integer>>> all = new ArrayList<>();
    for (final GenerationRequest request : requests) {
      final CompletableFuture<List<Integer>> done = new CompletableFuture<>();
      final List<Integer> tokens = new ArrayList<>();
      all.add(done);
      engine.submit(
          request,
          new TokenListener() {
            @Override
            public void onTokens(final TokenDelta delta) {
              for (final int token : delta.tokens()) {
                tokens.add(token);
              }
              if (delta.last()) {
                done.complete(tokens);
              }
            }

            @Override
            public void onEngineFailure(final EngineFailedException failure) {
              done.completeExceptionally(failure);
            }
          });
    }
    final List<List<Integer>> results = new ArrayList<>();
    for (final CompletableFuture<List<Integer>> done : all) {
      results.add(done.get(120, TimeUnit.SECONDS));
    }
    return results;
  }

  @Test
  void shouldYieldTheSameTokensInCompanyAsAlone() throws Exception {
    // given
    final List<List<Integer>> alone = new ArrayList<>();
    try (GenerationEngine engine = engine(64, 64)) {
      for (final GenerationRequest request : requests()) {
        alone.addAll(run(engine, List.of(request)));
      }
    }

    // when all run together, in other chunks and with so little memory that some are preempted
    try (GenerationEngine engine = engine(9, 16)) {
      // then
      assertThat(run(engine, requests())).isEqualTo(alone);
      assertThat(engine.preemptions()).isPositive();
    }
  }
}
