package dev.sarathi.runtime.schedule;

/**
 * What is left of an iteration's token budget for prefill. Sarathi-Serve's own scheduler lets it
 * turn negative when the decodes alone exceed the budget; here it stops at zero.
 */
final class TokenBudget {
  private int remaining;

  TokenBudget(final int budget, final int decodes) {
    this.remaining = Math.max(0, budget - decodes);
  }

  int remaining() {
    return remaining;
  }

  void spend(final int tokens) {
    remaining -= tokens;
  }
}
