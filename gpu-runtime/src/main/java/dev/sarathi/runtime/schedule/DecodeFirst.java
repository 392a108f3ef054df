package dev.sarathi.runtime.schedule;

import dev.sarathi.runtime.cache.BlockPool;

/**
 * FasterTransformer's policy, batching by requests: as many whole prompts as there is room for,
 * then their decodes alone until the last of them has ended. Room is reserved as in {@link Mixed}.
 */
final class DecodeFirst extends IterationScheduler {

  DecodeFirst(final BlockPool pool, final int maxSequences, final Tenancy tenancy) {
    super(pool, maxSequences, tenancy, Reservation.MAXIMUM);
  }

  @Override
  void plan(final BatchUnderConstruction batch) {
    if (running().isEmpty()) {
      addWholePrompts(batch, TokenBudget.unlimited());
    } else {
      addDecodes(batch);
    }
  }
}
