package dev.sarathi.streams.metrics;

import dev.sarathi.runtime.EngineLoad;
import dev.sarathi.runtime.Finish;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.ServingObserver;
import dev.sarathi.streams.GenerationObserver;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.function.ToDoubleFunction;

/**
 * The meters of an engine, and of the node that feeds it, in a registry of Micrometer's. In an
 * application of one's own: {@code new ServingMetrics(registry, engine, target)}, handed to {@code
 * Generation.using(engine).observedBy(…)}.
 *
 * <p>Threading: the engine thread and stream threads record, without locks; any thread reads.
 */
public final class ServingMetrics implements ServingObserver, GenerationObserver {
  /** The label that tells engines apart. */
  public static final String MODEL_NAME = "model_name";

  private final MeterRegistry registry;
  private final Tags tags;
  private final long targetNanos;
  private final Timer firstToken;
  private final Timer betweenTokens;
  private final Timer total;
  private final Timer queued;
  private final Timer longestGap;
  private final Timer iteration;
  private final Timer emissionToCommit;
  private final Timer promptToCompletion;
  private final DistributionSummary iterationTokens;
  private final Counter stalls;
  private final Counter promptTokens;
  private final Counter generatedTokens;

  /**
   * Makes the meters, and lets them look on at the engine.
   *
   * @param tbtTarget a longer gap between two tokens is a stall
   */
  public ServingMetrics(
      final MeterRegistry registry, final GenerationEngine engine, final Duration tbtTarget) {
    this.registry = registry;
    this.tags = Tags.of(MODEL_NAME, engine.modelName());
    this.targetNanos = tbtTarget.toNanos();
    this.firstToken = timer(Metric.TIME_TO_FIRST_TOKEN);
    this.betweenTokens = timer(Metric.INTER_TOKEN_LATENCY);
    this.total = timer(Metric.E2E_REQUEST_LATENCY);
    this.queued = timer(Metric.REQUEST_QUEUE_TIME);
    this.longestGap = timer(Metric.REQUEST_LONGEST_GAP);
    this.iteration = timer(Metric.ITERATION_DURATION);
    this.emissionToCommit = timer(Metric.EMISSION_TO_COMMIT);
    this.promptToCompletion = timer(Metric.PROMPT_TO_COMPLETION);
    this.iterationTokens =
        DistributionSummary.builder(Metric.ITERATION_TOKENS.meterName())
            .description(Metric.ITERATION_TOKENS.help())
            .tags(tags)
            .serviceLevelObjectives(Metric.ITERATION_TOKENS.buckets())
            .register(registry);
    this.stalls = counter(Metric.DECODE_STALLS);
    this.promptTokens = counter(Metric.PROMPT_TOKENS);
    this.generatedTokens = counter(Metric.GENERATION_TOKENS);
    gauge(Metric.TBT_TARGET, engine, e -> targetNanos / 1e9);
    gauge(Metric.ENGINE_HEALTHY, engine, e -> e.isHealthy() ? 1 : 0);
    gauge(Metric.NUM_REQUESTS_RUNNING, engine, e -> e.load().running());
    gauge(Metric.NUM_REQUESTS_WAITING, engine, e -> e.load().waiting());
    gauge(Metric.KV_CACHE_USAGE_PERC, engine, e -> kvUsage(e.load()));
    total(Metric.NUM_PREEMPTIONS, engine, e -> e.load().preemptions());
    total(Metric.PREFIX_CACHE_QUERIES, engine, e -> e.load().lookedUpTokens());
    total(Metric.PREFIX_CACHE_HITS, engine, e -> e.load().cachedTokens());
    engine.observe(this);
  }

  private static double kvUsage(final EngineLoad load) {
    return (double) load.usedBlocks() / load.totalBlocks();
  }

  private Timer timer(final Metric metric) {
    return Timer.builder(metric.meterName())
        .description(metric.help())
        .tags(tags)
        .serviceLevelObjectives(
            Arrays.stream(metric.buckets())
                .mapToObj(seconds -> Duration.ofNanos(Math.round(seconds * 1e9)))
                .toArray(Duration[]::new))
        .register(registry);
  }

  private Counter counter(final Metric metric) {
    return Counter.builder(metric.meterName())
        .description(metric.help())
        .tags(tags)
        .register(registry);
  }

  private void gauge(
      final Metric metric,
      final GenerationEngine engine,
      final ToDoubleFunction<GenerationEngine> value) {
    Gauge.builder(metric.meterName(), engine, value)
        .description(metric.help())
        .baseUnit(metric.unit().isEmpty() ? null : metric.unit())
        .tags(tags)
        .register(registry);
  }

  private void total(
      final Metric metric,
      final GenerationEngine engine,
      final ToDoubleFunction<GenerationEngine> value) {
    FunctionCounter.builder(metric.meterName(), engine, value)
        .description(metric.help())
        .tags(tags)
        .register(registry);
  }

  @Override
  public void onBatch(final int tokens, final long nanos) {
    iteration.record(nanos, TimeUnit.NANOSECONDS);
    iterationTokens.record(tokens);
  }

  @Override
  public void onBegin(final int tokens, final long queuedNanos) {
    promptTokens.increment(tokens);
    queued.record(queuedNanos, TimeUnit.NANOSECONDS);
  }

  @Override
  public void onFirstToken(final long nanos) {
    firstToken.record(nanos, TimeUnit.NANOSECONDS);
    generatedTokens.increment();
  }

  @Override
  public void onNextToken(final long gapNanos) {
    betweenTokens.record(gapNanos, TimeUnit.NANOSECONDS);
    generatedTokens.increment();
    if (gapNanos > targetNanos) {
      stalls.increment();
    }
  }

  @Override
  public void onFinish(final Finish finish) {
    total.record(finish.timing().total());
    if (!finish.timing().longestGap().isZero()) {
      longestGap.record(finish.timing().longestGap());
    }
  }

  @Override
  public void onCommitted(final long nanos) {
    emissionToCommit.record(nanos, TimeUnit.NANOSECONDS);
  }

  @Override
  public void onEnd(final Duration sincePrompt) {
    promptToCompletion.record(sincePrompt);
  }
}
