package dev.sarathi.runtime.schedule;

import dev.sarathi.runtime.cache.BlockPool;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Optional;

/**
 * A scheduler whose batches a test submits and completes one by one. Blocks hold 16 positions. A
 * slice reads as {@code sequence: start..end}.
 */
final class Iterations {
  static final int TOKEN = 7;

  final BlockPool pool;
  final Scheduler scheduler;
  long now;
  private final Deque<Batch> inFlight = new ArrayDeque<>();

  /** A context of 100 tokens. */
  Iterations(final Policy policy, final int blocks, final int tokenBudget) {
    this(policy, new BlockPool(blocks, 16), tokenBudget, Tenancy.EQUAL);
  }

  Iterations(
      final Policy policy, final BlockPool pool, final int tokenBudget, final Tenancy tenancy) {
    this(
        policy,
        pool,
        new Policy.Settings(TokenBudget.of(tokenBudget), 100, 64, tenancy, 1, Overlap.ALL));
  }

  Iterations(final Policy policy, final BlockPool pool, final Policy.Settings settings) {
    this.pool = pool;
    this.scheduler = policy.scheduler(pool, settings);
  }

  /** The id is the rank too; a thousand tokens are generated at most. */
  Sequence add(final int id, final int prompt) {
    return add(id, prompt, 1_000);
  }

  Sequence add(final int id, final int prompt, final int maxGenerated) {
    return add(id, new int[prompt], maxGenerated, "", Sharing.DEFAULT);
  }

  Sequence add(
      final int id,
      final int[] prompt,
      final int maxGenerated,
      final String tenant,
      final Sharing sharing) {
    final Sequence sequence =
        new Sequence(
            id, id, prompt, new int[0], maxGenerated, SamplingRule.GREEDY, tenant, sharing);
    scheduler.add(sequence);
    return sequence;
  }

  List<String> submit() {
    final Optional<Batch> batch = scheduler.next(now);
    batch.ifPresent(inFlight::add);
    return batch.map(Iterations::shape).orElse(List.of());
  }

  void complete() {
    complete(List.of());
  }

  /** Completes the oldest batch; every sequence yields the same token, unless it fails. */
  void complete(final List<StepResult.Failure> failures) {
    final Batch batch = inFlight.remove();
    final List<StepResult.Sampled> sampled =
        batch.slices().stream()
            .filter(slice -> slice.sampling().isPresent())
            .filter(slice -> failures.stream().noneMatch(f -> f.sequence() == slice.sequence()))
            .map(
                slice ->
                    new StepResult.Sampled(
                        slice.sequence(), TOKEN, Optional.empty(), Optional.empty()))
            .toList();
    scheduler.completed(new StepResult(batch.id(), 0, 0, sampled, List.of(), failures));
  }

  /** One batch, submitted and completed. */
  List<String> step() {
    final List<String> shape = submit();
    if (!shape.isEmpty()) {
      complete();
    }
    return shape;
  }

  private static List<String> shape(final Batch batch) {
    return batch.slices().stream()
        .map(slice -> "%d: %d..%d".formatted(slice.sequence(), slice.start(), slice.end()))
        .toList();
  }
}
