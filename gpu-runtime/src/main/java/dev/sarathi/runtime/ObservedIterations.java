package dev.sarathi.runtime;

import dev.sarathi.runtime.cache.BlockPool;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Scheduler;
import dev.sarathi.runtime.schedule.Slice;
import dev.sarathi.runtime.schedule.StepResult;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What an {@link IterationObserver} is told, gathered from the planning of a batch to its end.
 *
 * <p>Threading: confined to the engine thread.
 */
final class ObservedIterations {
  private static final Logger LOG = LoggerFactory.getLogger(ObservedIterations.class);

  private final Deque<Planned> inFlight = new ArrayDeque<>();
  private final List<Long> ended = new ArrayList<>();
  private final List<Long> timesToFirstToken = new ArrayList<>();
  private Optional<IterationObserver> observer;

  private record Planned(
      List<Iteration.Part> parts,
      List<Long> preempted,
      Scheduler.Load load,
      BlockPool.Load blocks,
      int tokenBudget) {}

  ObservedIterations(final Optional<IterationObserver> observer) {
    this.observer = observer;
  }

  /** Notes a batch that is about to be submitted. */
  void planned(
      final Batch batch, final Scheduler scheduler, final Function<Slice, Iteration.Part> part) {
    if (observer.isPresent()) {
      inFlight.add(
          new Planned(
              batch.slices().stream().map(part).toList(),
              scheduler.preempted(),
              scheduler.load(),
              scheduler.blocks(),
              scheduler.tokenBudget()));
    }
  }

  /** Notes that a sequence is gone. */
  void ended(final long sequence) {
    if (observer.isPresent()) {
      ended.add(sequence);
    }
  }

  /** Notes how long a choice has waited for the first token that it has now. */
  void firstToken(final long nanos) {
    if (observer.isPresent()) {
      timesToFirstToken.add(nanos);
    }
  }

  /** Tells of the oldest batch noted. */
  void completed(final StepResult result) {
    if (observer.isEmpty()) {
      return;
    }
    final Planned planned = inFlight.remove();
    final Iteration iteration =
        new Iteration(
            result.batch(),
            result.start(),
            result.end(),
            planned.parts,
            planned.preempted,
            ended,
            planned.load.waiting(),
            planned.load.running(),
            planned.blocks.used(),
            planned.blocks.cached(),
            planned.blocks.total(),
            planned.load.preemptions(),
            planned.blocks.cachedTokens(),
            planned.tokenBudget,
            timesToFirstToken);
    ended.clear();
    timesToFirstToken.clear();
    try {
      observer.get().onIteration(iteration);
    } catch (final RuntimeException e) {
      LOG.error("iteration observer failed at batch {} and is dropped", result.batch(), e);
      observer = Optional.empty();
    }
  }
}
