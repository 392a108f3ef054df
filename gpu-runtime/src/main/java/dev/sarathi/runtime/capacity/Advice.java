package dev.sarathi.runtime.capacity;

import dev.sarathi.runtime.execute.Calibration;
import dev.sarathi.runtime.execute.simulated.Deployment;
import dev.sarathi.runtime.execute.simulated.SimulatedExecutor;
import dev.sarathi.runtime.schedule.BatchShape;
import dev.sarathi.runtime.schedule.IterationTimeModel;
import dev.sarathi.runtime.schedule.Policy;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;

/**
 * How to run a model on GPUs under an SLO: a fitted model of the iterations' time proposes a fixed
 * budget, and simulations of it, of {@code auto} and of the other policies decide.
 *
 * @param policy the recommended one
 * @param budget {@code auto} or a number of tokens
 * @param instances how many of the model
 * @param gpus that these have
 * @param qps what one instance bears, requests a second
 * @param totalQps what all bear
 * @param reasons in words
 */
public record Advice(
    String policy,
    String budget,
    int instances,
    int gpus,
    double qps,
    double totalQps,
    List<String> reasons) {
  /** Decodes of the batch by which the model proposes a budget. */
  private static final int DECODES = 64;

  /** What is asked of an instance at most, so that bursts find room. */
  private static final double LOAD = 0.9;

  private static final int TILE = 128;

  private record Tried(Policy policy, TokenBudget budget, Capacity capacity) {
    @Override
    public String toString() {
      return String.format(
          Locale.ROOT,
          "%s, budget %s: %.3f requests/s an instance, bound by %s",
          policy,
          budget,
          capacity.qps(),
          capacity.bound().equals("tbt") ? "P99 TBT" : "the scheduling delay");
    }
  }

  /**
   * @param gpus that there are
   * @param p99Tbt seconds
   * @param qps the load to be borne, if it is known
   * @throws IllegalArgumentException if the GPUs are too few, or the requests, or no load is borne
   */
  public static Advice of(
      final Deployment deployment,
      final int gpus,
      final double p99Tbt,
      final Workload workload,
      final OptionalDouble qps) {
    if (gpus < deployment.gpus()) {
      throw new IllegalArgumentException(
          "%d GPUs; one instance of %s has %d"
              .formatted(gpus, deployment.title(), deployment.gpus()));
    }
    final IterationTimeModel model = fitted(deployment, workload);
    final int proposed = proposed(model, deployment, workload, p99Tbt);
    final Slo slo = Slo.ofTbt(p99Tbt);
    final List<Tried> tried = new ArrayList<>();
    final TokenBudget fixed = TokenBudget.of(proposed);
    tried.add(
        tried(
            deployment,
            Policy.STALL_FREE,
            new TokenBudget.Adaptive(Duration.ofNanos(Math.round(p99Tbt * 1e9))),
            workload,
            slo));
    tried.add(tried(deployment, Policy.STALL_FREE, fixed, workload, slo));
    for (final Policy policy : List.of(Policy.PREFILL_FIRST, Policy.MIXED, Policy.DECODE_FIRST)) {
      tried.add(tried(deployment, policy, fixed, workload, slo));
    }
    // The first of equals: auto goes on fitting where the load is another.
    Tried best = tried.getFirst();
    for (final Tried other : tried) {
      best = other.capacity.qps() > best.capacity.qps() ? other : best;
    }
    if (!best.capacity.isLimited()) {
      throw new IllegalArgumentException(
          "%d requests are borne at any rate, which says nothing of more: give --requests or a trace with more"
              .formatted(workload.requests().size()));
    }
    final double each = best.capacity.qps();
    if (each == 0) {
      throw new IllegalArgumentException(
          "%s bears no load with P99 TBT within %s s".formatted(deployment.title(), p99Tbt));
    }
    final int most = gpus / deployment.gpus();
    final int instances =
        qps.isPresent()
            ? (int) Math.min(Integer.MAX_VALUE, Math.ceil(qps.getAsDouble() / (LOAD * each)))
            : most;
    final List<String> reasons = new ArrayList<>();
    reasons.add(
        String.format(
            Locale.ROOT,
            "fitted: %d tokens with %d decodes among them take %.0f ms in a stage, of %d; P99 TBT is"
                + " to be within %.0f ms",
            proposed,
            DECODES,
            millis(model, workload, proposed),
            deployment.stages(),
            p99Tbt * 1e3));
    tried.forEach(t -> reasons.add("simulated: " + t));
    qps.ifPresent(
        rate ->
            reasons.add(
                String.format(
                    Locale.ROOT,
                    "%s requests/s need %d instances at %.0f %% of what each bears; the GPUs hold %d%s",
                    rate,
                    instances,
                    100 * LOAD,
                    most,
                    instances > most ? ": too few" : "")));
    return new Advice(
        best.policy.toString(),
        best.budget.toString(),
        instances,
        instances * deployment.gpus(),
        each,
        instances * each,
        List.copyOf(reasons));
  }

  private static IterationTimeModel fitted(final Deployment deployment, final Workload workload) {
    final IterationTimeModel model = new IterationTimeModel();
    new Calibration(
            new SimulatedExecutor(deployment, Scenario.CPU_MILLIS),
            workload.contextLength(),
            TokenBudget.Adaptive.MOST_TOKENS)
        .run(
            Long.MAX_VALUE / 2,
            () -> false,
            (batch, nanos) ->
                model.observe(BatchShape.of(batch), nanos / 1e6 / deployment.stages()));
    return model;
  }

  private static double millis(
      final IterationTimeModel model, final Workload workload, final int tokens) {
    final int context = meanPrompt(workload);
    return model.millis(
        new BatchShape(
            tokens, DECODES, (long) DECODES * context, (tokens - DECODES) * (context / 2.0)));
  }

  private static int meanPrompt(final Workload workload) {
    return (int)
        workload.requests().stream().mapToInt(Workload.Request::prompt).average().orElse(1);
  }

  /** The size with most prefill a second whose batch is through all stages in time. */
  private static int proposed(
      final IterationTimeModel model,
      final Deployment deployment,
      final Workload workload,
      final double p99Tbt) {
    int best = TILE;
    double speed = 0;
    for (int tokens = TILE; tokens <= 2_048; tokens += TILE) {
      final double millis = millis(model, workload, tokens);
      if (millis * deployment.stages() <= 0.9e3 * p99Tbt
          && (tokens - DECODES) / millis > 1.02 * speed) {
        speed = (tokens - DECODES) / millis;
        best = tokens;
      }
    }
    return best;
  }

  private static Tried tried(
      final Deployment deployment,
      final Policy policy,
      final TokenBudget budget,
      final Workload workload,
      final Slo slo) {
    return new Tried(
        policy,
        budget,
        Capacity.of(
            Scenario.of(deployment, policy, TokenBudget.DEFAULT_TOKENS, workload)
                .withTokenBudget(budget),
            slo));
  }
}
