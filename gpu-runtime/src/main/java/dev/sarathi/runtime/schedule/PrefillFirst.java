package dev.sarathi.runtime.schedule;

import dev.sarathi.runtime.cache.BlockPool;

/**
 * vLLM's policy, as Sarathi-Serve's paper measured it: whenever a waiting prompt can be admitted, a
 * batch of whole prompts alone, while the running generations stand still; otherwise their decodes
 * alone. A prefill batch has at most as many tokens as the context.
 */
final class PrefillFirst extends IterationScheduler {
  private final int maxBatchedTokens;

  PrefillFirst(final BlockPool pool, final Policy.Settings settings) {
    super(pool, settings, Reservation.KNOWN);
    this.maxBatchedTokens = settings.contextLength();
  }

  @Override
  void plan(final BatchUnderConstruction batch) {
    addWholePrompts(batch, Allowance.of(maxBatchedTokens));
    if (batch.isEmpty()) {
      addDecodes(batch);
    }
  }
}
