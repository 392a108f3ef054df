package dev.sarathi.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.execute.cpu.KernelSet;
import dev.sarathi.runtime.schedule.Policy;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Tokens and logits, bit for bit, whatever runs beside a generation. Three requests are watched:
 * one takes the likeliest token, one draws, one draws with penalties, which look back on every
 * token.
 */
class DeterminismTest {
  private static final EngineConfig CONFIG =
      EngineConfig.of(Path.of("../models/storyteller"))
          .withMaxContext(320)
          .withWarmUp(Duration.ZERO);
  private static final long BLOCK_BYTES = 16L * 5 * 2 * 2 * 32 * 4;
  private static final int[] BEGINNING = new Random(1).ints(70, 3, 898).toArray();
  private static final List<GenerationRequest> WATCHED =
      List.of(
          watched("greedy", Sampling.GREEDY),
          watched("drawn", Sampling.at(0.9f).withTopK(50).withTopP(0.95f).withSeed(7)),
          watched("penalised", Sampling.at(1.1f).withMinP(0.02f).withPenalties(1.2f, 0.3f, 0.2f)));

  /** By kernel set: each gives the same bits in every setting, but not those of the other. */
  private static final Map<String, List<Outcome>> ALONE = new HashMap<>();

  private record Outcome(List<Integer> tokens, List<float[]> logits) {}

  /**
   * @param company how many requests are in the engine, the watched ones among them
   * @param blocks of the KV cache; 0 for plenty
   */
  record Setting(
      Policy policy,
      String budget,
      boolean prefixCache,
      int company,
      int blocks,
      int threads,
      String kernels) {

    Setting(
        final Policy policy,
        final String budget,
        final boolean prefixCache,
        final int company,
        final int blocks,
        final int threads) {
      this(policy, budget, prefixCache, company, blocks, threads, "java");
    }

    Setting withKernels(final String other) {
      return new Setting(policy, budget, prefixCache, company, blocks, threads, other);
    }

    EngineConfig config() {
      final EngineConfig config =
          CONFIG
              .withPolicy(policy.toString())
              .withTokenBudget(TokenBudget.parse(budget, Duration.ofMillis(20)))
              .withPrefixCache(prefixCache)
              .withKernels(kernels)
              .withThreads(threads);
      return blocks == 0 ? config : config.withKvMemory(blocks * BLOCK_BYTES);
    }
  }

  @BeforeAll
  static void runEachRequestAlone() throws Exception {
    for (final String kernels : kernels()) {
      final List<Outcome> alone = new ArrayList<>();
      final EngineConfig config = CONFIG.withThreads(1).withPrefixCache(false).withKernels(kernels);
      try (GenerationEngine engine = GenerationEngine.start(config)) {
        for (final GenerationRequest request : WATCHED) {
          alone.addAll(run(engine, List.of(request)));
        }
      }
      ALONE.put(kernels, alone);
    }
  }

  /** Those that can run here. */
  private static List<String> kernels() {
    return KernelSet.NATIVE.obstacle().isEmpty() ? List.of("java", "native") : List.of("java");
  }

  private static Stream<Setting> withEveryKernelSet(final Stream<Setting> settings) {
    return settings.flatMap(setting -> kernels().stream().map(setting::withKernels));
  }

  static Stream<Setting> someSettings() {
    return withEveryKernelSet(
        Stream.of(
            new Setting(Policy.STALL_FREE, "16", true, 7, 0, 2),
            new Setting(Policy.STALL_FREE, "64", true, 24, 30, 2),
            new Setting(Policy.STALL_FREE, "512", false, 7, 22, 1),
            new Setting(Policy.STALL_FREE, "auto", true, 24, 30, 2),
            new Setting(Policy.STALL_FREE, "auto", false, 7, 22, 1),
            new Setting(Policy.PREFILL_FIRST, "2048", true, 7, 30, 2),
            new Setting(Policy.MIXED, "512", false, 7, 0, 2),
            new Setting(Policy.DECODE_FIRST, "512", true, 7, 0, 1),
            new Setting(Policy.CHUNKED_ONLY, "64", false, 7, 30, 2),
            new Setting(Policy.HYBRID_ONLY, "512", true, 7, 30, 2)));
  }

  @ParameterizedTest
  @MethodSource("someSettings")
  void shouldYieldTheSameBits(final Setting setting) throws Exception {
    yieldsTheSameBits(setting);
  }

  /**
   * 6 policies, 5 budgets, cache on and off, 3 sizes of company, memory ample and tight, and 24;
   * all of them with every kernel set.
   */
  static Stream<Setting> everySetting() {
    final List<Setting> settings = new ArrayList<>();
    for (final Policy policy : Policy.values()) {
      for (final String budget : List.of("16", "64", "512", "2048", "auto")) {
        for (final int company : new int[] {1, 7, 64}) {
          for (final int blocks : new int[] {0, 26}) {
            settings.add(new Setting(policy, budget, true, company, blocks, 2));
            settings.add(new Setting(policy, budget, false, company, blocks, 2));
          }
        }
        settings.add(new Setting(policy, budget, true, 16, 21, 1));
      }
    }
    return withEveryKernelSet(settings.stream());
  }

  @Tag("long")
  @ParameterizedTest
  @MethodSource("everySetting")
  void shouldYieldTheSameBitsInEverySetting(final Setting setting) throws Exception {
    yieldsTheSameBits(setting);
  }

  @Test
  void shouldYieldTheSameBitsAfterAWarmUp() throws Exception {
    try (GenerationEngine engine =
        GenerationEngine.start(CONFIG.withWarmUp(Duration.ofSeconds(10)))) {
      Thread.sleep(300);
      assertSame(run(engine, WATCHED), ALONE.get("java"), 0);
    }
  }

  private static void yieldsTheSameBits(final Setting setting) throws Exception {
    final List<Outcome> alone = ALONE.get(setting.kernels);
    final AtomicLong cachedTokens = new AtomicLong();
    try (GenerationEngine engine =
        GenerationEngine.start(
            setting.config(), iteration -> cachedTokens.set(iteration.cachedTokens()))) {
      if (setting.company == 1) {
        for (int i = 0; i < WATCHED.size(); i++) {
          assertSame(run(engine, List.of(WATCHED.get(i))), alone, i);
        }
      } else {
        assertSame(run(engine, company(setting)), alone, 0);
        if (setting.blocks > 0 && setting.company > 7 && preempts(setting.policy)) {
          assertThat(engine.preemptions()).isPositive();
        }
      }
    }
    if (!setting.prefixCache) {
      assertThat(cachedTokens).hasValue(0);
    } else if (setting.blocks == 0 && (setting.company == 1 || setting.company > 7)) {
      assertThat(cachedTokens).hasPositiveValue();
    }
  }

  /** The others reserve what a request may need at most. */
  private static boolean preempts(final Policy policy) {
    return policy != Policy.MIXED && policy != Policy.DECODE_FIRST;
  }

  /** The watched requests first, then others, of which every second begins as they do. */
  private static List<GenerationRequest> company(final Setting setting) {
    final Random random = new Random(setting.hashCode());
    final List<GenerationRequest> requests = new ArrayList<>(WATCHED);
    for (int i = WATCHED.size(); i < setting.company; i++) {
      final IntStream own = random.ints(1 + random.nextInt(120), 3, 898);
      final IntStream prompt = i % 2 == 0 ? own : IntStream.concat(IntStream.of(BEGINNING), own);
      requests.add(
          random.nextInt(requests.size() + 1) == 0 ? requests.size() : 0,
          GenerationRequest.of("other-" + i, new Prompt.Tokens(prompt.toArray()))
              .withSampling(Sampling.at(1))
              .withIgnoreEos(true)
              .withMaxTokens(1 + random.nextInt(60)));
    }
    return requests;
  }

  private static GenerationRequest watched(final String id, final Sampling sampling) {
    final IntStream own = new Random(id.hashCode()).ints(20, 3, 898);
    return GenerationRequest.of(
            id, new Prompt.Tokens(IntStream.concat(IntStream.of(BEGINNING), own).toArray()))
        .withSampling(sampling)
        .withIgnoreEos(true)
        .withMaxTokens(60);
  }

  /** What became of the watched ones among the requests, in the order of {@link #WATCHED}. */
  private static List<Outcome> run(
      final GenerationEngine engine, final List<GenerationRequest> requests) throws Exception {
    final List<Bits> all = new ArrayList<>();
    for (final GenerationRequest request : requests) {
      final Bits bits = new Bits(request.id());
      all.add(bits);
      if (WATCHED.contains(request)) {
        engine.submitWithLogits(request, bits);
      } else {
        engine.submit(request, bits);
      }
    }
    for (final Bits bits : all) {
      bits.done.get(120, TimeUnit.SECONDS);
    }
    return WATCHED.stream()
        .flatMap(request -> all.stream().filter(bits -> bits.id.equals(request.id())))
        .map(bits -> new Outcome(bits.tokens, bits.logits))
        .toList();
  }

  private static void assertSame(
      final List<Outcome> outcomes, final List<Outcome> alone, final int first) {
    assertThat(outcomes).isNotEmpty();
    for (int i = 0; i < outcomes.size(); i++) {
      final Outcome expected = alone.get(first + i);
      assertThat(outcomes.get(i).tokens()).hasSize(60).isEqualTo(expected.tokens());
      for (int t = 0; t < 60; t++) {
        assertThat(outcomes.get(i).logits().get(t)).isEqualTo(expected.logits().get(t));
      }
    }
  }

  /** Written on the engine thread; read when done. */
  private static final class Bits implements TokenListener {
    private final String id;
    private final List<Integer> tokens = new ArrayList<>();
    private final List<float[]> logits = new ArrayList<>();
    private final CompletableFuture<Boolean> done = new CompletableFuture<>();

    private Bits(final String id) {
      this.id = id;
    }

    @Override
    public void onTokens(final TokenDelta delta) {
      for (final int token : delta.tokens()) {
        tokens.add(token);
      }
      if (delta.last()) {
        done.complete(true);
      }
    }

    @Override
    public void onLogits(final int index, final float[] values) {
      logits.add(values);
    }

    @Override
    public void onEngineFailure(final EngineFailedException failure) {
      done.completeExceptionally(failure);
    }
  }
}
