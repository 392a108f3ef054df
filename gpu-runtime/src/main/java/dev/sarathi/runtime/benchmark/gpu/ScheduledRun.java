package dev.sarathi.runtime.benchmark.gpu;

import dev.sarathi.runtime.cache.BlockPool;
import dev.sarathi.runtime.execute.Executor;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Overlap;
import dev.sarathi.runtime.schedule.Policy;
import dev.sarathi.runtime.schedule.SamplingRule;
import dev.sarathi.runtime.schedule.Scheduler;
import dev.sarathi.runtime.schedule.Sequence;
import dev.sarathi.runtime.schedule.StepResult;
import dev.sarathi.runtime.schedule.Tenancy;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Runs sequences of token ids through a policy and an executor, iteration by iteration, as the
 * engine does. One run after the other may use an executor.
 *
 * <p>Threading: one thread, which also opened the executor.
 */
final class ScheduledRun {
  private final Executor executor;
  private final Scheduler scheduler;
  private final Map<Long, Running> running = new HashMap<>();
  private long sequences;

  /** A sequence, and what has come of it so far. */
  static final class Running {
    private final int wanted;
    private final List<Integer> tokens = new ArrayList<>();
    private final List<float[]> logits = new ArrayList<>();

    private Running(final int wanted) {
      this.wanted = wanted;
    }

    List<Integer> tokens() {
      return tokens;
    }

    /** What each token was drawn from, where that was asked for. */
    List<float[]> logits() {
      return logits;
    }
  }

  /**
   * @param blocks KV blocks, of which the executor has as many or more
   * @param contextLength the longest of a sequence
   */
  ScheduledRun(
      final Executor executor,
      final Policy policy,
      final int tokenBudget,
      final int blocks,
      final int contextLength,
      final int maxSequences) {
    this.executor = executor;
    scheduler =
        policy.scheduler(
            new BlockPool(blocks, executor.limits().blockTokens()),
            new Policy.Settings(
                TokenBudget.of(tokenBudget),
                contextLength,
                maxSequences,
                Tenancy.EQUAL,
                1,
                Overlap.ALL));
  }

  /** Lets a sequence of greedy tokens wait to be served. */
  Running add(final int[] prompt, final int wanted, final boolean logits) {
    final Running added = new Running(wanted);
    final long id = sequences++;
    running.put(id, added);
    scheduler.add(
        new Sequence(
            id, id, prompt, new int[0], wanted, SamplingRule.GREEDY.withReturnLogits(logits)));
    return added;
  }

  /**
   * Computes one batch.
   *
   * @return false if there is nothing to compute
   * @throws IllegalStateException if a sequence fails
   */
  boolean step() {
    final Optional<Batch> batch = scheduler.next(executor.now());
    if (batch.isEmpty()) {
      return false;
    }
    executor.submit(batch.get());
    Optional<StepResult> result = executor.await(Long.MAX_VALUE);
    while (result.isEmpty()) {
      result = executor.await(Long.MAX_VALUE);
    }
    result
        .get()
        .failures()
        .forEach(
            failure -> {
              throw new IllegalStateException(failure.message());
            });
    for (final StepResult.Sampled sampled : scheduler.completed(result.get())) {
      final Running of = running.get(sampled.sequence());
      of.tokens.add(sampled.token());
      sampled.logits().ifPresent(of.logits::add);
      if (of.tokens.size() == of.wanted) {
        running.remove(sampled.sequence());
        scheduler.remove(sampled.sequence());
      }
    }
    return true;
  }

  /** Steps until every sequence has its tokens. */
  void finish() {
    boolean more = true;
    while (more) {
      more = step();
    }
    if (!running.isEmpty()) {
      throw new IllegalStateException(running.size() + " sequences are left, but no batch");
    }
  }

  long preemptions() {
    return scheduler.load().preemptions();
  }
}
