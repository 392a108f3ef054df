package dev.sarathi.runtime;

import java.time.Duration;
import java.util.Optional;

/**
 * How a generation ended.
 *
 * @param reason why
 * @param error what went wrong, present exactly for {@link FinishReason#ERROR}
 * @param usage how many tokens it had
 * @param timing how long it took
 */
public record Finish(FinishReason reason, Optional<String> error, Usage usage, Timing timing) {

  /**
   * Token counts.
   *
   * @param promptTokens tokens of the prompt
   * @param completionTokens generated tokens, those of earlier runs of a resumed generation
   *     included
   * @param cachedTokens prompt tokens whose KV came from the prefix cache
   */
  public record Usage(int promptTokens, int completionTokens, int cachedTokens) {
    /** Of a request that was never served. */
    public static final Usage NONE = new Usage(0, 0, 0);
  }

  /**
   * Spans since the engine was handed the request; those of a resumed generation begin at its
   * resumption.
   *
   * @param queued until its first chunk was scheduled
   * @param timeToFirstToken until its first token was emitted (TTFT)
   * @param total until it ended
   * @param longestGap the longest time between two tokens (TBT)
   */
  public record Timing(
      Duration queued, Duration timeToFirstToken, Duration total, Duration longestGap) {
    /** Of a request that was never served. */
    public static final Timing NONE =
        new Timing(Duration.ZERO, Duration.ZERO, Duration.ZERO, Duration.ZERO);
  }

  /**
   * The end of a request that was never served.
   *
   * @param reason why it ended
   * @param error what went wrong, for {@link FinishReason#ERROR}
   * @return a finish without tokens and times
   */
  public static Finish withoutTokens(final FinishReason reason, final Optional<String> error) {
    return new Finish(reason, error, Usage.NONE, Timing.NONE);
  }
}
