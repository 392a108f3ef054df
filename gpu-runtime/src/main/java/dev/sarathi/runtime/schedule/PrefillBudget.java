package dev.sarathi.runtime.schedule;

import java.util.function.LongFunction;

/** How much prefill goes beside the decodes of one iteration; told of all that it may go by. */
interface PrefillBudget {

  /**
   * The budget of a configuration.
   *
   * @param kvTokens that the KV cache holds
   */
  static PrefillBudget of(final Policy.Settings settings, final long kvTokens) {
    return switch (settings.tokenBudget()) {
      case TokenBudget.Fixed(final int tokens) -> new FixedBudget(tokens);
      case TokenBudget.Adaptive adaptive ->
          new AdaptiveBudget(adaptive.target().toNanos(), settings, kvTokens);
    };
  }

  /**
   * The tokens of prefill for an iteration.
   *
   * @param decodes that it has already
   * @param situation looks at all that runs, by the target for the time between tokens
   */
  Allowance prefill(int decodes, LongFunction<Situation> situation);

  /** Whether decodes of bulk stand back for prefill that is not bulk. */
  default boolean pausesBulk() {
    return false;
  }

  /** Whether these decodes leave enough of an iteration for prefill. */
  default boolean admitsBulk(final BatchShape decodes) {
    return true;
  }

  /** A batch is submitted. */
  default void submitted(final Batch batch, final long now) {}

  /** A batch is done. */
  default void completed(final StepResult result) {}

  /** Learns from a batch of somebody else's, computed alone. */
  default void learn(final Batch batch, final long nanos) {}

  /** A sequence will generate no more. */
  default void ended(final Sequence sequence) {}

  /** The same in every iteration. */
  record FixedBudget(int tokens) implements PrefillBudget {
    @Override
    public Allowance prefill(final int decodes, final LongFunction<Situation> situation) {
      return Allowance.beside(decodes, tokens);
    }
  }

  /**
   * What an iteration is planned in.
   *
   * @param now nanoseconds
   * @param decodes of this iteration
   * @param oldestToken when the decode that has waited longest, and not too long already, had its
   *     last token, in nanoseconds; {@code now} where there are none
   * @param nextStart the position at which the next chunk starts
   * @param nextLength how much is left of that prompt
   */
  record Situation(long now, BatchShape decodes, long oldestToken, int nextStart, int nextLength) {

    /** What the batch becomes with so much prefill. */
    BatchShape with(final int prefill) {
      final int next = Math.min(prefill, nextLength);
      return decodes.withChunk(nextStart, next).withChunk(0, prefill - next);
    }
  }
}
