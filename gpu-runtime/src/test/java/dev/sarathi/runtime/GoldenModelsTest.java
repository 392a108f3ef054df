package dev.sarathi.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.runtime.execute.cpu.Golden;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every model family through the engine, its prompts together. */
class GoldenModelsTest {

  static List<Path> families() {
    return Golden.families();
  }

  @ParameterizedTest
  @MethodSource("families")
  void shouldGenerateWhatTheReferenceGenerates(final Path directory) throws Exception {
    final List<Golden> goldens = Golden.read(directory);
    for (final int budget : new int[] {16, 512}) {
      for (int threads = 1; threads <= 2; threads++) {
        final List<int[]> tokens =
            generate(config(directory).withTokenBudget(budget).withThreads(threads), goldens);
        for (int i = 0; i < goldens.size(); i++) {
          assertThat(tokens.get(i)).isEqualTo(goldens.get(i).greedy());
        }
      }
    }
  }

  @Test
  void shouldGenerateTheSameWithQuantisedWeightsWhateverTheBudget() throws Exception {
    for (final Path directory : families().subList(0, 6)) {
      final List<Golden> goldens = Golden.read(directory);
      final EngineConfig quantised = config(directory).withWeights("int8");
      final List<int[]> tokens = generate(quantised.withTokenBudget(16).withThreads(2), goldens);
      assertThat(generate(quantised.withTokenBudget(512).withThreads(1), goldens))
          .containsExactlyElementsOf(tokens);
    }
  }

  @Test
  void shouldRefuseUnknownWeights() {
    assertThatThrownBy(() -> EngineConfig.of(Path.of("model")).withWeights("int4"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("weights is int4; valid is auto or int8");
  }

  private static EngineConfig config(final Path directory) {
    return EngineConfig.of(directory).withWarmUp(Duration.ZERO);
  }

  private static List<int[]> generate(final EngineConfig config, final List<Golden> goldens)
      throws Exception {
    final List<int[]> tokens = new ArrayList<>();
    try (GenerationEngine engine = GenerationEngine.start(config)) {
      final List<CollectingListener> listeners = new ArrayList<>();
      for (final Golden golden : goldens) {
        final CollectingListener listener = new CollectingListener();
        listeners.add(listener);
        engine.submit(
            GenerationRequest.of("r" + listeners.size(), new Prompt.Tokens(golden.prompt()))
                .withSampling(Sampling.GREEDY)
                .withIgnoreEos(true)
                .withMaxTokens(golden.greedy().length),
            listener);
      }
      for (final CollectingListener listener : listeners) {
        tokens.add(listener.collected().tokens());
      }
    }
    return tokens;
  }
}
