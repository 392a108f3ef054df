package dev.sarathi.runtime.schedule;

import dev.sarathi.runtime.cache.BlockPool;

/**
 * One half of stall-free batching, an ablation of Sarathi-Serve's paper: prompts are cut into
 * chunks, but a batch has either chunks or decodes. The two take turns, and one without work leaves
 * its turn to the other.
 */
final class ChunkedOnly extends IterationScheduler {
  private final int tokenBudget;
  private boolean decodesAreNext;

  ChunkedOnly(final BlockPool pool, final Policy.Settings settings) {
    super(pool, settings, Reservation.KNOWN);
    this.tokenBudget = settings.tokenBudget().tokens();
  }

  @Override
  public int tokenBudget() {
    return tokenBudget;
  }

  @Override
  void plan(final BatchUnderConstruction batch) {
    if (decodesAreNext) {
      addDecodes(batch);
    }
    if (batch.isEmpty()) {
      addChunks(batch, Allowance.of(tokenBudget));
      if (!batch.isEmpty()) {
        decodesAreNext = true;
        return;
      }
      addDecodes(batch);
    }
    decodesAreNext &= batch.isEmpty();
  }
}
