package dev.sarathi.runtime;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * What the prefix cache saves: 64 prompts that share their first 1,500 tokens, each with 32 of its
 * own, are prefilled with the cache and without, in turn. The cache is cold at the start of each
 * round, since each has a beginning of its own; the tokens have to be the same.
 */
class PrefixCacheBenchmark {
  private static final int PROMPTS = 64;
  private static final int SHARED = 1_500;
  private static final int OWN = 32;
  private static final int ROUNDS = 5;

  private record Run(List<Integer> tokens, double millis) {}

  @Test
  void shouldPrefillASharedBeginningOnce() throws Exception {
    final EngineConfig config =
        EngineConfig.of(Path.of("../models/storyteller"))
            .withMaxContext(SHARED + OWN + 1)
            .withKvMemory(2L << 30)
            .withWarmUp(Duration.ofSeconds(3));
    final List<Double> ratios = new ArrayList<>();
    try (GenerationEngine with = GenerationEngine.start(config.withPrefixCache(true));
        GenerationEngine without = GenerationEngine.start(config.withPrefixCache(false))) {
      with.awaitReady(Duration.ofSeconds(30));
      without.awaitReady(Duration.ofSeconds(30));
      for (int round = 0; round <= ROUNDS; round++) {
        final List<GenerationRequest> requests = requests(round);
        final Run cached = run(with, requests);
        final Run computed = run(without, requests);
        if (!cached.tokens.equals(computed.tokens)) {
          throw new IllegalStateException("the prefix cache changed a token in round " + round);
        }
        // The first round is the compiler's.
        if (round > 0) {
          ratios.add(computed.millis / cached.millis);
          System.out.printf(
              Locale.ROOT,
              "round %d: %,.0f ms without, %,.0f ms with the cache, ratio %.1f, same tokens%n",
              round,
              computed.millis,
              cached.millis,
              ratios.getLast());
        }
      }
    }
    ratios.sort(null);
    System.out.printf(
        Locale.ROOT,
        "ratio: least %.1f, median %.1f%n",
        ratios.getFirst(),
        ratios.get(ratios.size() / 2));
  }

  private static List<GenerationRequest> requests(final int round) {
    final Random random = new Random(round);
    final int[] shared = random.ints(SHARED, 3, 800).toArray();
    return IntStream.range(0, PROMPTS)
        .mapToObj(
            i ->
                GenerationRequest.of(
                        "prompt-" + i,
                        new Prompt.Tokens(
                            IntStream.concat(IntStream.of(shared), random.ints(OWN, 3, 800))
                                .toArray()))
                    .withMaxTokens(1))
        .toList();
  }

  private static Run run(final GenerationEngine engine, final List<GenerationRequest> requests)
      throws Exception {
    final long start = System.nanoTime();
    final List<CollectingListener> listeners = new ArrayList<>();
    for (final GenerationRequest request : requests) {
      final CollectingListener listener = new CollectingListener();
      listeners.add(listener);
      engine.submit(request, listener);
    }
    final List<Integer> tokens = new ArrayList<>();
    for (final CollectingListener listener : listeners) {
      tokens.add(listener.collected().tokens()[0]);
    }
    return new Run(tokens, (System.nanoTime() - start) / 1e6);
  }
}
