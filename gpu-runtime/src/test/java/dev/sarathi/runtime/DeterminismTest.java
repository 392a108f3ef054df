package dev.sarathi.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.CollectingListener.Collected;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Tokens and logits, bit for bit, whatever runs beside a generation: half of the requests take the
 * likeliest token, the others draw.
 */
class DeterminismTest {
  private static final EngineConfig CONFIG =
      EngineConfig.of(Path.of("../models/storyteller"))
          .withMaxContext(320)
          .withWarmUp(Duration.ZERO);
  private static final long BLOCK_BYTES = 16L * 5 * 2 * 2 * 32 * 4;

  private static final List<GenerationRequest> REQUESTS =
      IntStream.range(0, 8).mapToObj(DeterminismTest::request).toList();

  private static List<Outcome> alone;

  private record Outcome(int[] tokens, float[] logits) {}

  @BeforeAll
  static void runEachRequestAlone() throws Exception {
    alone = new ArrayList<>();
    try (GenerationEngine engine = GenerationEngine.start(CONFIG.withThreads(1))) {
      for (final GenerationRequest request : REQUESTS) {
        alone.addAll(run(engine, List.of(request)));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"16, 2", "64, 1", "512, 2", "2048, 1"})
  void shouldYieldTheSameBitsInABatch(final int budget, final int threads) throws Exception {
    final EngineConfig config = CONFIG.withTokenBudget(budget).withThreads(threads);
    try (GenerationEngine engine = GenerationEngine.start(config)) {
      assertSame(run(engine, REQUESTS));
    }
  }

  @Test
  void shouldYieldTheSameBitsWhenMemoryForcesPreemption() throws Exception {
    yieldsTheSameBitsInBlocks(22, 64, 2);
  }

  @Test
  void shouldYieldTheSameBitsAfterAWarmUp() throws Exception {
    try (GenerationEngine engine =
        GenerationEngine.start(CONFIG.withWarmUp(Duration.ofSeconds(10)))) {
      Thread.sleep(300);
      assertSame(run(engine, REQUESTS));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "stall-free",
        "prefill-first",
        "mixed",
        "decode-first",
        "chunked-only",
        "hybrid-only"
      })
  void shouldYieldTheSameBitsUnderEveryPolicy(final String policy) throws Exception {
    final EngineConfig config = CONFIG.withTokenBudget(1_024).withPolicy(policy);
    try (GenerationEngine engine = GenerationEngine.start(config)) {
      assertSame(run(engine, REQUESTS));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldYieldTheSameBitsFromThePrefixCache(final boolean kept) throws Exception {
    final AtomicLong cachedTokens = new AtomicLong();
    try (GenerationEngine engine =
        GenerationEngine.start(
            CONFIG.withTokenBudget(64).withPrefixCache(kept),
            iteration -> cachedTokens.set(iteration.cachedTokens()))) {
      assertSame(run(engine, REQUESTS));
      assertSame(run(engine, REQUESTS));
    }
    assertThat(cachedTokens.get() > 0).isEqualTo(kept);
  }

  @Tag("long")
  @ParameterizedTest
  @MethodSource("everySetting")
  void shouldYieldTheSameBitsInEverySetting(final int blocks, final int budget, final int threads)
      throws Exception {
    yieldsTheSameBitsInBlocks(blocks, budget, threads);
  }

  static Stream<Object[]> everySetting() {
    return Stream.of(20, 27, 48)
        .flatMap(
            blocks ->
                Stream.of(16, 64, 512, 2048)
                    .flatMap(
                        budget ->
                            Stream.of(1, 2)
                                .map(threads -> new Object[] {blocks, budget, threads})));
  }

  private static void yieldsTheSameBitsInBlocks(
      final int blocks, final int budget, final int threads) throws Exception {
    final EngineConfig config = CONFIG.withTokenBudget(budget).withThreads(threads);
    try (GenerationEngine engine =
        GenerationEngine.start(config.withKvMemory(blocks * BLOCK_BYTES))) {
      assertSame(run(engine, REQUESTS));
      assertThat(engine.preemptions()).isPositive();
    }
  }

  private static GenerationRequest request(final int number) {
    final Random random = new Random(number);
    final Sampling drawn = new Sampling(0.9f, 50, 0.95f, OptionalLong.of(number));
    return GenerationRequest.of(
            "r" + number, new Prompt.Tokens(random.ints(3 + 25 * number, 3, 898).toArray()))
        .withSampling(number % 2 == 0 ? Sampling.GREEDY : drawn)
        .withIgnoreEos(true)
        .withMaxTokens(100);
  }

  private static List<Outcome> run(
      final GenerationEngine engine, final List<GenerationRequest> requests) throws Exception {
    final List<CollectingListener> listeners = new ArrayList<>();
    for (final GenerationRequest request : requests) {
      final CollectingListener listener = new CollectingListener();
      listeners.add(listener);
      engine.submitWithLogits(request, listener);
    }
    final List<Outcome> outcomes = new ArrayList<>();
    for (final CollectingListener listener : listeners) {
      final Collected collected = listener.collected();
      assertThat(collected.tokens()).hasSize(100);
      outcomes.add(new Outcome(collected.tokens(), listener.logits()));
    }
    return outcomes;
  }

  private static void assertSame(final List<Outcome> outcomes) {
    for (int i = 0; i < alone.size(); i++) {
      assertThat(outcomes.get(i).tokens()).isEqualTo(alone.get(i).tokens());
      assertThat(outcomes.get(i).logits()).isEqualTo(alone.get(i).logits());
    }
  }
}
