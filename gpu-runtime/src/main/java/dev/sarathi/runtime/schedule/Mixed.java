package dev.sarathi.runtime.schedule;

import dev.sarathi.runtime.cache.BlockPool;

/**
 * Orca's policy (OSDI'22): all decodes, and beside them as many whole prompts as there is room for,
 * however long that makes the iteration. Room is reserved for the most that a request may generate,
 * so nothing is preempted; Orca reserves the model's whole context instead, whatever a request asks
 * for.
 */
final class Mixed extends IterationScheduler {

  Mixed(final BlockPool pool, final Policy.Settings settings) {
    super(pool, settings, Reservation.MAXIMUM);
  }

  @Override
  void plan(final BatchUnderConstruction batch) {
    addDecodes(batch);
    addWholePrompts(batch, Allowance.unlimited());
  }
}
