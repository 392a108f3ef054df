package dev.sarathi.runtime.schedule;

import dev.sarathi.runtime.cache.BlockPool;

/**
 * Sarathi-Serve's policy (OSDI'24, algorithm 3): every running decode is in every batch, and
 * prefill chunks fill what the decodes leave of the token budget, so that no new prompt ever stalls
 * a running generation.
 *
 * <p>Two differences from the paper's code: blocks are taken chunk by chunk rather than for the
 * whole prompt at admission, and the budget left for prefill never falls below zero.
 */
final class StallFree extends IterationScheduler {
  private final int tokenBudget;

  /**
   * @param tokenBudget tokens of one iteration, decodes and prefill together; decodes are not cut
   *     by it
   */
  StallFree(final BlockPool pool, final Policy.Settings settings, final int tokenBudget) {
    super(pool, settings, Reservation.KNOWN);
    this.tokenBudget = tokenBudget;
  }

  @Override
  void plan(final BatchUnderConstruction batch) {
    addDecodes(batch);
    addChunks(batch, new TokenBudget(tokenBudget, batch.size()));
  }
}
