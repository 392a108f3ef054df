package dev.sarathi.runtime.benchmark;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.Prompt;
import dev.sarathi.runtime.execute.cpu.CpuExecutor;
import dev.sarathi.runtime.model.ModelConfig;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/**
 * What the engine that ships yields on this machine, by the clock on the wall: prefill, decode, and
 * a load of long prompts among short ones under several policies. Prompts are random token ids that
 * begin differently, so that the prefix cache has no part in it.
 */
public final class EngineBenchmark {
  /** Tokens in the KV cache before a decode is measured. */
  public static final int DECODE_PROMPT = 128;

  private static final int WARM_PROMPT = 16;
  private static final int WARM_TOKENS = 8;
  private static final Duration READY = Duration.ofMinutes(5);

  private final EngineConfig config;
  private final ModelConfig model;
  private int prompts;

  /**
   * The yield of one batch size.
   *
   * @param sequences computed together
   * @param tokensPerSecond of all sequences together, the median of the rounds
   */
  public record Speed(int sequences, double tokensPerSecond, List<Double> rounds) {
    private static Speed of(final int sequences, final List<Double> rounds) {
      return new Speed(
          sequences, rounds.stream().sorted().toList().get(rounds.size() / 2), List.copyOf(rounds));
    }
  }

  /**
   * An engine without a load.
   *
   * @param startSeconds until it took requests, its warm-up not counted
   * @param kernels the executor's numerics id
   */
  public record Throughput(
      double startSeconds, String kernels, int prefillTokens, Speed prefill, List<Speed> decode) {}

  /**
   * A load under a policy.
   *
   * @param seconds from the first arrival to the last token
   * @param tokensPerSecond generated tokens, over that time
   * @param longestStall between two tokens of a sequence
   */
  public record Serving(
      String policy,
      String tokenBudget,
      double seconds,
      double tokensPerSecond,
      double p50Ttft,
      double p99Ttft,
      double p50Tbt,
      double p99Tbt,
      double longestStall) {}

  /**
   * @param config model, executor, weights and threads; the rest is set as measuring needs it
   */
  public EngineBenchmark(final EngineConfig config) {
    this.config = config;
    this.model = ModelConfig.read(config.model().resolve("config.json"));
  }

  /** The longest sequence that the model takes. */
  public int maxContext() {
    return model.maxPositions();
  }

  /**
   * Measures prefill and decode.
   *
   * @param prefill tokens of the prompt that is prefilled alone, in one iteration
   * @param batches how many sequences decode together, one after the other
   * @param tokens to be timed of each sequence
   * @param rounds after one that only warms up
   */
  public Throughput throughput(
      final int prefill, final int[] batches, final int tokens, final int rounds)
      throws InterruptedException {
    requirePositive("prefill tokens", prefill);
    requirePositive("tokens", tokens);
    requirePositive("rounds", rounds);
    Arrays.stream(batches).forEach(batch -> requirePositive("batch size", batch));
    final int most = Arrays.stream(batches).max().orElse(1);
    final int sequence = DECODE_PROMPT + Math.max(tokens, WARM_TOKENS) + ahead(most);
    final int context = Math.max(prefill + 1, sequence);
    final long start = System.nanoTime();
    try (GenerationEngine engine =
        GenerationEngine.start(
            sized(context, Math.max(context, most * sequence))
                .withMaxSequences(most)
                .withTokenBudget(TokenBudget.of(Math.max(prefill, TokenBudget.DEFAULT_TOKENS))))) {
      final double started = seconds(System.nanoTime() - start);
      engine.awaitReady(READY);
      prefill(engine, prefill);
      for (final int batch : batches) {
        decode(engine, batch, WARM_PROMPT, WARM_TOKENS);
      }
      final List<Double> prefills = new ArrayList<>();
      final List<List<Double>> decodes = new ArrayList<>();
      Arrays.stream(batches).forEach(batch -> decodes.add(new ArrayList<>()));
      for (int round = 0; round < rounds; round++) {
        prefills.add(prefill(engine, prefill));
        for (int i = 0; i < batches.length; i++) {
          decodes.get(i).add(decode(engine, batches[i], DECODE_PROMPT, tokens));
        }
      }
      return new Throughput(
          started,
          kernels(engine),
          prefill,
          Speed.of(1, prefills),
          IntStream.range(0, batches.length)
              .mapToObj(i -> Speed.of(batches[i], decodes.get(i)))
              .toList());
    }
  }

  /** Tokens a second until the prompt's answer begins. */
  private double prefill(final GenerationEngine engine, final int tokens)
      throws InterruptedException {
    final long start = System.nanoTime();
    final long[] times = submit(engine, tokens, 1).times();
    return tokens / seconds(times[0] - start);
  }

  /** Tokens a second from when all sequences decode to when the first ends. */
  private double decode(
      final GenerationEngine engine, final int sequences, final int prompt, final int tokens)
      throws InterruptedException {
    final List<WatchedGeneration> generations = new ArrayList<>();
    for (int i = 0; i < sequences; i++) {
      generations.add(submit(engine, prompt, tokens + ahead(sequences)));
    }
    final List<long[]> times = new ArrayList<>();
    for (final WatchedGeneration generation : generations) {
      times.add(generation.times());
    }
    final long begin = times.stream().mapToLong(t -> t[0]).max().orElseThrow();
    final long end = times.stream().mapToLong(t -> t[t.length - 1]).min().orElseThrow();
    // The oldest is the first to get its token of an iteration, and the first to end.
    final long iterations =
        Arrays.stream(times.getFirst()).filter(t -> t > begin && t <= end).count();
    return sequences * iterations / seconds(end - begin);
  }

  /** More tokens than the first sequence of a batch has when the last one gets its first. */
  private static int ahead(final int sequences) {
    return 2 + Math.ceilDiv(sequences * DECODE_PROMPT, TokenBudget.DEFAULT_TOKENS);
  }

  /**
   * Serves a load.
   *
   * @param policy a name, as in configurations
   * @param budget for a policy that has one
   */
  public Serving serve(final ServingLoad load, final String policy, final TokenBudget budget)
      throws InterruptedException {
    final List<ServingLoad.Arrival> arrivals = load.arrivals();
    try (GenerationEngine engine =
        GenerationEngine.start(
            sized(load.context(), load.tokens() + arrivals.size() * CpuExecutor.BLOCK_TOKENS)
                .withPolicy(policy)
                .withWarmUp(Duration.ZERO)
                .withTokenBudget(budget)
                .withMaxSequences(Math.max(arrivals.size(), 1)))) {
      engine.awaitReady(READY);
      prefill(engine, Math.min(load.context() - 1, DECODE_PROMPT));
      final List<WatchedGeneration> generations = new ArrayList<>();
      final long start = System.nanoTime();
      for (final ServingLoad.Arrival arrival : arrivals) {
        sleepUntil(start + nanos(arrival.at()));
        generations.add(submit(engine, arrival.prompt(), arrival.output()));
      }
      final List<Double> ttfts = new ArrayList<>();
      final List<Double> tbts = new ArrayList<>();
      long end = start;
      long tokens = 0;
      for (int i = 0; i < arrivals.size(); i++) {
        final long[] times = generations.get(i).times();
        ttfts.add(seconds(times[0] - start) - arrivals.get(i).at());
        for (int t = 1; t < times.length; t++) {
          tbts.add(seconds(times[t] - times[t - 1]));
        }
        end = Math.max(end, times[times.length - 1]);
        tokens += times.length;
      }
      return new Serving(
          policy,
          budget.toString(),
          seconds(end - start),
          tokens / seconds(end - start),
          percentile(ttfts, 50),
          percentile(ttfts, 99),
          percentile(tbts, 50),
          percentile(tbts, 99),
          percentile(tbts, 100));
    }
  }

  /** With room for a longest sequence, and for all at once. */
  private EngineConfig sized(final int context, final int allTokens) {
    if (context > model.maxPositions()) {
      throw new IllegalArgumentException(
          "a sequence would have %d tokens; valid for this model is at most %d"
              .formatted(context, model.maxPositions()));
    }
    final int blocks =
        Math.ceilDiv(context, CpuExecutor.BLOCK_TOKENS)
            + Math.ceilDiv(allTokens, CpuExecutor.BLOCK_TOKENS);
    return config
        .withMaxContext(context)
        .withKvMemory(blocks * CpuExecutor.kvBytesPerBlock(model))
        .withPrefixCache(false);
  }

  private WatchedGeneration submit(
      final GenerationEngine engine, final int prompt, final int output) {
    final int[] ids = new Random(prompts++).ints(prompt, 3, model.vocabularySize()).toArray();
    final WatchedGeneration generation = new WatchedGeneration(output);
    engine.submit(
        GenerationRequest.of("prompt-" + prompts, new Prompt.Tokens(ids))
            .withMaxTokens(output)
            .withIgnoreEos(true),
        generation);
    return generation;
  }

  /** What follows the model's hash. */
  private static String kernels(final GenerationEngine engine) {
    final String fingerprint = engine.fingerprint();
    return fingerprint.substring(fingerprint.indexOf('/') + 1);
  }

  /** The smallest value that so many of a hundred do not exceed. */
  static double percentile(final List<Double> values, final int percent) {
    final List<Double> sorted = values.stream().sorted().toList();
    return sorted.get(Math.max(0, Math.ceilDiv(sorted.size() * percent, 100) - 1));
  }

  private static void sleepUntil(final long nanoTime) throws InterruptedException {
    final long wait = nanoTime - System.nanoTime();
    if (wait > 0) {
      Thread.sleep(Duration.ofNanos(wait));
    }
  }

  private static void requirePositive(final String name, final int value) {
    if (value < 1) {
      throw new IllegalArgumentException(name + ": " + value + "; valid is 1 or more");
    }
  }

  private static double seconds(final long nanos) {
    return nanos / 1e9;
  }

  private static long nanos(final double seconds) {
    return Math.round(seconds * 1e9);
  }
}
