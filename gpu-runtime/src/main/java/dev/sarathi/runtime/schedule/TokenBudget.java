package dev.sarathi.runtime.schedule;

/**
 * What is left of an iteration's tokens for prefill. Sarathi-Serve's own scheduler lets it turn
 * negative when the decodes alone exceed the budget; here it stops at zero.
 */
final class TokenBudget {
  private int remaining;

  TokenBudget(final int budget, final int decodes) {
    this.remaining = Math.max(0, budget - decodes);
  }

  static TokenBudget of(final int tokens) {
    return new TokenBudget(tokens, 0);
  }

  static TokenBudget unlimited() {
    return of(Integer.MAX_VALUE);
  }

  int remaining() {
    return remaining;
  }

  void spend(final int tokens) {
    remaining -= tokens;
  }
}
