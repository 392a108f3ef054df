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
  private final PrefillBudget budget;
  private int tokenBudget;

  StallFree(final BlockPool pool, final Policy.Settings settings, final PrefillBudget budget) {
    super(pool, settings, Reservation.KNOWN);
    this.budget = budget;
  }

  @Override
  void plan(final BatchUnderConstruction batch) {
    if (budget.pausesBulk() && prefillIsUrgent()) {
      addDecodes(batch, this::isUrgent);
    } else {
      addDecodes(batch);
    }
    final Allowance prefill = budget.prefill(batch.size(), target -> situation(batch, target));
    tokenBudget = batch.size() + prefill.remaining();
    addChunks(batch, prefill);
  }

  @Override
  public int tokenBudget() {
    return tokenBudget;
  }

  @Override
  boolean admitsBulk() {
    return budget.admitsBulk(decodesAndOneMore());
  }

  @Override
  void submitted(final Batch batch, final long now) {
    budget.submitted(batch, now);
  }

  @Override
  void done(final StepResult result) {
    budget.completed(result);
  }

  @Override
  public void learn(final Batch batch, final long nanos) {
    budget.learn(batch, nanos);
  }

  @Override
  void ended(final Sequence sequence) {
    budget.ended(sequence);
  }
}
