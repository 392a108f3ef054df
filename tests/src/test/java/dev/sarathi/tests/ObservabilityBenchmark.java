package dev.sarathi.tests;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.EngineFailedException;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.Prompt;
import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.runtime.TokenListener;
import dev.sarathi.streams.http.IterationHistory;
import dev.sarathi.streams.metrics.ApplicationMetrics;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

/**
 * What the meters and the page's history cost: long prompts among short ones are served by an
 * engine that is observed, and scraped once a second, and by one that is not, in pairs one after
 * the other, each first in every other pair.
 */
class ObservabilityBenchmark {
  private static final int PAIRS = Integer.getInteger("bench.pairs", 80);
  private static final int UNCOUNTED_PAIRS = 3;
  private static final int SHORT_PROMPTS = 24;
  private static final int LONG_PROMPTS = 4;
  private static final int SHORT_PROMPT = 64;
  private static final int LONG_PROMPT = 1_500;
  private static final int SHORT_ANSWER = 800;
  private static final int LONG_ANSWER = 100;

  @Test
  void shouldTellWhatTheMetersCost() throws Exception {
    final EngineConfig config =
        EngineConfig.of(Stories.MODEL).withKvMemory(1L << 30).withWarmUp(Duration.ofSeconds(3));
    final List<Double> ratios = new ArrayList<>();
    try (GenerationEngine bare = GenerationEngine.start(config);
        GenerationEngine observed = GenerationEngine.start(config, new IterationHistory())) {
      bare.awaitReady(Duration.ofSeconds(60));
      observed.awaitReady(Duration.ofSeconds(60));
      final ApplicationMetrics metrics = new ApplicationMetrics(observed, Duration.ofMillis(200));
      final AtomicBoolean scraped = new AtomicBoolean();
      final Thread scraper = Thread.ofPlatform().daemon().start(() -> scrape(metrics, scraped));
      for (int pair = -UNCOUNTED_PAIRS; pair < PAIRS; pair++) {
        final double with;
        final double without;
        if (pair % 2 == 0) {
          with = whileScraped(scraped, observed, pair);
          without = tokensPerSecond(bare, pair);
        } else {
          without = tokensPerSecond(bare, pair);
          with = whileScraped(scraped, observed, pair);
        }
        if (pair >= 0) {
          ratios.add(with / without);
          System.out.printf(
              Locale.ROOT,
              "pair %2d: %,.0f tokens/s observed, %,.0f not, ratio %.4f%n",
              pair + 1,
              with,
              without,
              with / without);
        }
      }
      scraper.interrupt();
      scraper.join();
    }
    print(ratios);
  }

  /** Asks once a second, as Prometheus would, while the observed engine works. */
  private static void scrape(final ApplicationMetrics metrics, final AtomicBoolean scraped) {
    try {
      while (true) {
        if (scraped.get()) {
          metrics.scrape();
        }
        Thread.sleep(1_000);
      }
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static double whileScraped(
      final AtomicBoolean scraped, final GenerationEngine engine, final int seed)
      throws InterruptedException {
    scraped.set(true);
    final double rate = tokensPerSecond(engine, seed);
    scraped.set(false);
    return rate;
  }

  /** The mean of the ratios, and Student's 95 % confidence interval of it. */
  private static void print(final List<Double> ratios) {
    final int n = ratios.size();
    final double mean = ratios.stream().mapToDouble(r -> r).average().orElseThrow();
    final double variance =
        ratios.stream().mapToDouble(r -> (r - mean) * (r - mean)).sum() / (n - 1);
    // Student's quantile to within 0.5 % from 8 degrees of freedom on.
    final double quantile = 1.96 + 2.5 / (n - 1);
    final double half = quantile * Math.sqrt(variance / n);
    System.out.printf(
        Locale.ROOT,
        "throughput observed over not observed: mean %.4f, 95 %% between %.4f and %.4f, %d pairs%n",
        mean,
        mean - half,
        mean + half,
        n);
  }

  private static double tokensPerSecond(final GenerationEngine engine, final int seed)
      throws InterruptedException {
    final List<GenerationRequest> requests = requests(seed);
    final CountDownLatch unfinished = new CountDownLatch(requests.size());
    final long start = System.nanoTime();
    requests.forEach(request -> engine.submit(request, new End(unfinished)));
    unfinished.await();
    final int tokens = requests.stream().mapToInt(r -> r.maxTokens().orElseThrow()).sum();
    return tokens / ((System.nanoTime() - start) / 1e9);
  }

  private static List<GenerationRequest> requests(final int seed) {
    final Random random = new Random(seed);
    final List<GenerationRequest> requests = new ArrayList<>();
    for (int i = 0; i < SHORT_PROMPTS; i++) {
      requests.add(request("short-" + i, random, SHORT_PROMPT, SHORT_ANSWER));
    }
    for (int i = 0; i < LONG_PROMPTS; i++) {
      requests.add(request("long-" + i, random, LONG_PROMPT, LONG_ANSWER));
    }
    Collections.shuffle(requests, random);
    return requests;
  }

  private static GenerationRequest request(
      final String id, final Random random, final int prompt, final int answer) {
    return GenerationRequest.of(id, new Prompt.Tokens(random.ints(prompt, 3, 800).toArray()))
        .withMaxTokens(answer)
        .withIgnoreEos(true);
  }

  private record End(CountDownLatch unfinished) implements TokenListener {
    @Override
    public void onTokens(final TokenDelta delta) {
      if (delta.last()) {
        unfinished.countDown();
      }
    }

    @Override
    public void onEngineFailure(final EngineFailedException failure) {
      throw failure;
    }
  }
}
