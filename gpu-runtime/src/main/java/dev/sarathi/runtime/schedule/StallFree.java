package dev.sarathi.runtime.schedule;

import dev.sarathi.runtime.cache.BlockPool;
import java.util.Optional;

/**
 * Sarathi-Serve's policy (OSDI'24, algorithm 3): every running decode is in every batch, and
 * prefill chunks fill what the decodes leave of the token budget, so that no new prompt ever stalls
 * a running generation.
 *
 * <p>Two differences from the paper's code: blocks are taken chunk by chunk rather than for the
 * whole prompt at admission, and the budget left for prefill never falls below zero.
 */
public final class StallFree extends IterationScheduler {
  private final int tokenBudget;

  /**
   * @param pool the executor's KV blocks, at least enough for one sequence of full length
   * @param tokenBudget tokens of one iteration, decodes and prefill together; decodes are not cut
   *     by it
   * @param maxSequences how many sequences may hold KV blocks at once
   */
  public StallFree(final BlockPool pool, final int tokenBudget, final int maxSequences) {
    super(pool, maxSequences);
    this.tokenBudget = tokenBudget;
  }

  @Override
  void plan(final BatchUnderConstruction batch) {
    for (final Sequence sequence : running()) {
      if (isRunning(sequence) && sequence.isReadyToDecode() && growForDecode(sequence, batch)) {
        batch.add(sequence, 1);
      }
    }
    final TokenBudget budget = new TokenBudget(tokenBudget, batch.size());
    for (final Sequence sequence : running()) {
      if (isRunning(sequence) && sequence.isReadyToPrefill()) {
        addChunk(sequence, budget, batch);
      }
    }
    while (budget.remaining() > 0) {
      final Optional<Sequence> admitted = admit();
      if (admitted.isEmpty()) {
        break;
      }
      addChunk(admitted.get(), budget, batch);
    }
  }

  private void addChunk(
      final Sequence sequence, final TokenBudget budget, final BatchUnderConstruction batch) {
    final int wanted = Math.min(sequence.prefillRemaining(), budget.remaining());
    final int count = wanted == 0 ? 0 : growForPrefill(sequence, wanted, batch);
    if (count > 0) {
      batch.add(sequence, count);
      budget.spend(count);
    }
  }
}
