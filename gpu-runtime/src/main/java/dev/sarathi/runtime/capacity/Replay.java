package dev.sarathi.runtime.capacity;

import dev.sarathi.runtime.Iteration;
import dev.sarathi.runtime.IterationObserver;
import dev.sarathi.runtime.cache.BlockPool;
import dev.sarathi.runtime.execute.Calibration;
import dev.sarathi.runtime.execute.simulated.SimulatedExecutor;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.SamplingRule;
import dev.sarathi.runtime.schedule.Scheduler;
import dev.sarathi.runtime.schedule.Sequence;
import dev.sarathi.runtime.schedule.Slice;
import dev.sarathi.runtime.schedule.StepResult;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Optional;

/**
 * One run of a workload at one rate, from the first arrival to the last token. Results come before
 * arrivals, and arrivals before the next batch, when all fall on the same instant.
 *
 * <p>Threading: one thread.
 */
final class Replay {
  private static final int[] NOTHING_GENERATED = {};
  private static final long NOT_YET = -1;

  private final Scenario scenario;
  private final List<Workload.Request> requests;
  private final SimulatedExecutor executor;
  private final Scheduler scheduler;
  private final long start;
  private final long[] arrivals;
  private final long[] delays;
  private final long[] firstTokens;
  private final long[] lastTokens;
  private final int[] tokens;
  private final long[] gaps;
  private final Deque<Batch> inFlight = new ArrayDeque<>();
  private Optional<IterationObserver> observer = Optional.empty();
  private int arrived;
  private int gapCount;
  private int ended;
  private int delayed;
  private int longGaps;

  /** What a load must not exceed. */
  enum Bound {
    NONE,
    TBT,
    DELAY
  }

  /**
   * @param rate requests a second
   */
  Replay(final Scenario scenario, final double rate) {
    this.scenario = scenario;
    this.requests = scenario.workload().requests();
    this.executor = new SimulatedExecutor(scenario.deployment(), scenario.cpuMillis());
    this.scheduler = scenario.scheduler(executor.limits());
    if (scenario.tokenBudget() instanceof TokenBudget.Adaptive) {
      new Calibration(
              executor, scenario.workload().contextLength(), TokenBudget.Adaptive.MOST_TOKENS)
          .run(Long.MAX_VALUE / 2, () -> false, scheduler::learn);
    }
    this.start = executor.now();
    this.arrivals = arrivals(rate);
    this.delays = new long[requests.size()];
    this.firstTokens = new long[requests.size()];
    this.lastTokens = new long[requests.size()];
    this.tokens = new int[requests.size()];
    this.gaps = new long[scenario.workload().gapsBetweenTokens()];
    Arrays.fill(delays, NOT_YET);
  }

  private long[] arrivals(final double rate) {
    final long[] times = new long[requests.size()];
    double time = 0;
    for (int i = 0; i < times.length; i++) {
      time += requests.get(i).gap();
      times[i] = start + Math.round(time / rate * 1e9);
    }
    return times;
  }

  /**
   * Runs to the end, or until more delays or gaps are too long than the SLO bears.
   *
   * @return which of them, or none
   */
  Bound run(final Slo slo) {
    final long longDelay = Math.round(slo.medianDelay() * 1e9);
    final long longGap = Math.round(slo.p99Tbt() * 1e9);
    final int mayBeDelayed = requests.size() - rank(requests.size(), 0.5);
    final int mayBeLong = gaps.length - rank(gaps.length, 0.99);
    while (ended < requests.size()) {
      arrive();
      if (executor.accepts()) {
        final Optional<Batch> batch = scheduler.next(executor.now());
        batch.ifPresent(b -> submit(b, longDelay));
      }
      final long nextArrival = arrived < arrivals.length ? arrivals[arrived] : Long.MAX_VALUE;
      executor.await(nextArrival).ifPresent(result -> complete(result, longGap));
      if (longGaps > mayBeLong) {
        return Bound.TBT;
      }
      if (delayed > mayBeDelayed) {
        return Bound.DELAY;
      }
    }
    return Bound.NONE;
  }

  private void arrive() {
    while (arrived < arrivals.length && arrivals[arrived] <= executor.now()) {
      final Workload.Request request = requests.get(arrived);
      // How long its output will be is not known beforehand: it may fill the context.
      scheduler.add(
          new Sequence(
              arrived,
              arrived,
              new int[request.prompt()],
              NOTHING_GENERATED,
              scenario.workload().contextLength() - request.prompt(),
              SamplingRule.GREEDY));
      arrived++;
    }
  }

  private void submit(final Batch batch, final long longDelay) {
    for (final Slice slice : batch.slices()) {
      final int request = (int) slice.sequence();
      if (delays[request] == NOT_YET) {
        delays[request] = executor.now() - arrivals[request];
        delayed += delays[request] > longDelay ? 1 : 0;
      }
    }
    executor.submit(batch);
    inFlight.add(batch);
  }

  private void complete(final StepResult result, final long longGap) {
    final Batch batch = inFlight.remove();
    observer.ifPresent(o -> o.onIteration(iteration(batch, result)));
    for (final StepResult.Sampled sampled : scheduler.completed(result)) {
      final int request = (int) sampled.sequence();
      if (tokens[request] == 0) {
        firstTokens[request] = result.end() - arrivals[request];
      } else {
        final long gap = result.end() - lastTokens[request];
        gaps[gapCount++] = gap;
        longGaps += gap > longGap ? 1 : 0;
      }
      lastTokens[request] = result.end();
      if (++tokens[request] == requests.get(request).output()) {
        scheduler.remove(request);
        ended++;
      }
    }
  }

  /** Runs to the end. */
  List<Iteration> traced() {
    final List<Iteration> iterations = new ArrayList<>();
    observer = Optional.of(iterations::add);
    run(new Slo(1e9, 1e9));
    return iterations;
  }

  private Iteration iteration(final Batch batch, final StepResult result) {
    final Scheduler.Load load = scheduler.load();
    final BlockPool.Load blocks = scheduler.blocks();
    final List<Iteration.Part> parts =
        batch.slices().stream()
            .map(
                slice ->
                    new Iteration.Part(
                        slice.sequence(),
                        "request " + (slice.sequence() + 1),
                        0,
                        slice.start() < requests.get((int) slice.sequence()).prompt(),
                        slice.start(),
                        slice.count()))
            .toList();
    return new Iteration(
        batch.id(),
        result.start(),
        result.end(),
        parts,
        scheduler.preempted(),
        List.of(),
        load.waiting(),
        load.running(),
        blocks.used(),
        blocks.cached(),
        blocks.total(),
        load.preemptions(),
        blocks.cachedTokens(),
        scheduler.tokenBudget(),
        List.of());
  }

  /** Seconds; only of a run that came to its end. */
  double medianDelay() {
    return percentile(delays, 0.5);
  }

  double medianTtft() {
    return percentile(firstTokens, 0.5);
  }

  double p99Tbt() {
    return percentile(gaps, 0.99);
  }

  double seconds() {
    return (executor.now() - start) / 1e9;
  }

  long preemptions() {
    return scheduler.load().preemptions();
  }

  private static double percentile(final long[] nanos, final double share) {
    if (nanos.length == 0) {
      return 0;
    }
    final long[] sorted = nanos.clone();
    Arrays.sort(sorted);
    return sorted[rank(sorted.length, share) - 1] / 1e9;
  }

  /** How many values are at most the percentile. */
  private static int rank(final int count, final double share) {
    return (int) Math.ceil(count * share);
  }
}
