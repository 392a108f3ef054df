package dev.sarathi.runtime.capacity;

import dev.sarathi.runtime.execute.Calibration;
import dev.sarathi.runtime.execute.simulated.SimulatedExecutor;
import dev.sarathi.runtime.schedule.SamplingRule;
import dev.sarathi.runtime.schedule.Scheduler;
import dev.sarathi.runtime.schedule.Sequence;
import dev.sarathi.runtime.schedule.StepResult;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * One instance that serves requests as they arrive and beside them, if asked to, bulk without end,
 * until the last of the requests has arrived.
 *
 * <p>Threading: one thread.
 */
final class Service {
  /** So many bulk requests wait, that there is always one to take. */
  private static final int BACKLOG = 4;

  private final Scenario scenario;
  private final SimulatedExecutor executor;
  private final Scheduler scheduler;
  private final long start;
  private final Map<Long, Progress> live = new HashMap<>();
  private final List<Long> ttfts = new ArrayList<>();
  private final List<Long> gaps = new ArrayList<>();
  private long nextId;
  private int nextBulk;
  private long bulkTokens;

  /** A request of the load. */
  record Arrival(long nanos, Workload.Request request) {}

  private static final class Progress {
    private final boolean bulk;
    private final int wanted;
    private final long arrival;
    private int tokens;
    private long lastToken;

    private Progress(final boolean bulk, final int wanted, final long arrival) {
      this.bulk = bulk;
      this.wanted = wanted;
      this.arrival = arrival;
    }
  }

  Service(final Scenario scenario) {
    this.scenario = scenario;
    this.executor = new SimulatedExecutor(scenario.deployment(), scenario.cpuMillis());
    this.scheduler = scenario.scheduler(executor.limits());
    if (scenario.tokenBudget() instanceof TokenBudget.Adaptive) {
      new Calibration(
              executor, scenario.workload().contextLength(), TokenBudget.Adaptive.MOST_TOKENS)
          .run(Long.MAX_VALUE / 2, () -> false, scheduler::learn);
    }
    this.start = executor.now();
  }

  /**
   * @param arrivals in order
   * @param seconds how long to serve
   * @param bulk whether there is bulk
   */
  Service run(final List<Arrival> arrivals, final double seconds, final boolean bulk) {
    final long end = start + Math.round(seconds * 1e9);
    int arrived = 0;
    while (executor.now() < end) {
      while (arrived < arrivals.size() && start + arrivals.get(arrived).nanos() <= executor.now()) {
        final Arrival arrival = arrivals.get(arrived++);
        add(arrival.request(), start + arrival.nanos(), false);
      }
      while (bulk && scheduler.load().waiting() < BACKLOG) {
        final List<Workload.Request> requests = scenario.workload().requests();
        add(requests.get(nextBulk++ % requests.size()), executor.now(), true);
      }
      if (executor.accepts()) {
        scheduler.next(executor.now()).ifPresent(executor::submit);
      }
      final long next = arrived < arrivals.size() ? start + arrivals.get(arrived).nanos() : end;
      executor.await(Math.min(end, next)).ifPresent(this::completed);
    }
    return this;
  }

  private void add(final Workload.Request request, final long arrival, final boolean bulk) {
    final long id = nextId++;
    final Sequence sequence =
        new Sequence(
            id,
            bulk ? Long.MAX_VALUE / 2 + id : arrival,
            new int[request.prompt()],
            new int[0],
            scenario.workload().contextLength() - request.prompt(),
            SamplingRule.GREEDY);
    live.put(id, new Progress(bulk, request.output(), arrival));
    scheduler.add(bulk ? sequence.asBulk() : sequence);
  }

  private void completed(final StepResult result) {
    for (final StepResult.Sampled sampled : scheduler.completed(result)) {
      final Progress progress = live.get(sampled.sequence());
      if (progress.bulk) {
        bulkTokens++;
      } else if (progress.tokens == 0) {
        ttfts.add(result.end() - progress.arrival);
      } else {
        gaps.add(result.end() - progress.lastToken);
      }
      progress.lastToken = result.end();
      if (++progress.tokens == progress.wanted) {
        scheduler.remove(sampled.sequence());
        live.remove(sampled.sequence());
      }
    }
  }

  /** Of all that came to its first token, in nanoseconds. */
  List<Long> ttfts() {
    return ttfts;
  }

  /** Between the tokens of all that is not bulk, in nanoseconds. */
  List<Long> gaps() {
    return gaps;
  }

  /** How many tokens bulk was given. */
  long bulkTokens() {
    return bulkTokens;
  }

  long preemptions() {
    return scheduler.load().preemptions();
  }
}
