package dev.sarathi.runtime.schedule;

/** How many tokens of prefill the batch under construction may still take. */
final class Allowance {
  private int remaining;

  private Allowance(final int tokens) {
    this.remaining = tokens;
  }

  /**
   * What decodes leave of a budget. Sarathi-Serve's own scheduler lets it turn negative when the
   * decodes alone exceed the budget; here it stops at zero.
   */
  static Allowance beside(final int decodes, final int budget) {
    return new Allowance(Math.max(0, budget - decodes));
  }

  static Allowance of(final int tokens) {
    return new Allowance(tokens);
  }

  static Allowance unlimited() {
    return of(Integer.MAX_VALUE);
  }

  int remaining() {
    return remaining;
  }

  void spend(final int tokens) {
    remaining -= tokens;
  }
}
