package dev.sarathi.runtime.execute.simulated;

import dev.sarathi.runtime.execute.Executor;
import dev.sarathi.runtime.execute.Limits;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.BatchShape;
import dev.sarathi.runtime.schedule.IterationTimeModel;
import dev.sarathi.runtime.schedule.StepResult;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleBiFunction;

/**
 * Takes as long for a batch as the GPUs of a deployment, on a clock of its own that jumps; every
 * sampled token is 0. A pipeline has as many batches in flight as stages, and each stage computes
 * one at a time, first in, first out, so that bubbles arise by themselves.
 *
 * <p>Threading: one thread calls every method.
 */
public final class SimulatedExecutor implements Executor {
  private static final int BLOCK_TOKENS = 16;

  /** The first round has no factors yet for the numbers of tiles. */
  private static final int FITTING_ROUNDS = 3;

  private final ToDoubleBiFunction<Batch, Integer> times;
  private final Limits limits;
  private final long[] stageFree;
  private final Deque<InFlight> inFlight = new ArrayDeque<>();
  private long now;

  private record InFlight(Batch batch, long start, long end) {}

  /**
   * @param cpuMillis what each stage spends on a batch beside the GPU's work: to schedule, sample
   *     and launch
   */
  public SimulatedExecutor(final Deployment deployment, final double cpuMillis) {
    this.times =
        deployment.measured().isEmpty() ? composed(deployment, cpuMillis) : fitted(deployment);
    this.stageFree = new long[deployment.stages()];
    this.limits =
        new Limits(
            deployment.kvTokens() / BLOCK_TOKENS, BLOCK_TOKENS, deployment.stages(), "simulated-1");
  }

  private static ToDoubleBiFunction<Batch, Integer> composed(
      final Deployment deployment, final double cpuMillis) {
    final StageTimes times = new StageTimes(deployment, cpuMillis);
    return (batch, stage) -> times.millis(Work.of(batch), stage);
  }

  /** The CPU's share is in what was measured. */
  private static ToDoubleBiFunction<Batch, Integer> fitted(final Deployment deployment) {
    final IterationTimeModel model = new IterationTimeModel();
    for (int round = 0; round < FITTING_ROUNDS; round++) {
      deployment.measured().forEach(m -> model.observe(m.shape(), m.millis()));
    }
    return (batch, _) -> model.millis(BatchShape.of(batch));
  }

  @Override
  public Limits limits() {
    return limits;
  }

  @Override
  public boolean accepts() {
    return inFlight.size() < stageFree.length && stageFree[0] <= now;
  }

  @Override
  public void submit(final Batch batch) {
    if (!accepts()) {
      throw new IllegalStateException(
          "batch %d was submitted with %d in flight and the first stage busy until %d of %d ns"
              .formatted(batch.id(), inFlight.size(), stageFree[0], now));
    }
    long end = now;
    for (int stage = 0; stage < stageFree.length; stage++) {
      end = Math.max(end, stageFree[stage]) + Math.round(times.applyAsDouble(batch, stage) * 1e6);
      stageFree[stage] = end;
    }
    inFlight.add(new InFlight(batch, now, end));
  }

  /** Lets the clock jump to what comes first; at the same instant, a result comes before all. */
  @Override
  public Optional<StepResult> await(final long deadline) {
    final long completion = inFlight.isEmpty() ? Long.MAX_VALUE : inFlight.getFirst().end;
    final boolean waitsForStage = inFlight.size() < stageFree.length && stageFree[0] > now;
    final long accepting = waitsForStage ? stageFree[0] : Long.MAX_VALUE;
    if (completion <= Math.min(deadline, accepting) && !inFlight.isEmpty()) {
      now = Math.max(now, completion);
      return Optional.of(result(inFlight.remove()));
    }
    final long next = Math.min(deadline, accepting);
    if (next < Long.MAX_VALUE) {
      now = Math.max(now, next);
    }
    return Optional.empty();
  }

  private static StepResult result(final InFlight done) {
    final List<StepResult.Sampled> sampled =
        done.batch.slices().stream()
            .filter(slice -> slice.sampling().isPresent())
            .map(
                slice ->
                    new StepResult.Sampled(slice.sequence(), 0, Optional.empty(), Optional.empty()))
            .toList();
    return new StepResult(done.batch.id(), done.start, done.end, sampled, List.of(), List.of());
  }

  @Override
  public long now() {
    return now;
  }

  @Override
  public void close() {}
}
