package dev.sarathi.streams;

import java.time.Duration;
import java.util.Objects;

/**
 * How a {@link Generation} treats its requests.
 *
 * @param window how many requests of one task are in the engine at once; the rest wait in the store
 * @param maxUncommittedTokens above so many tokens not yet drained, the task's generations pause
 * @param maxTokensPerRecord the most tokens in one {@link GenerationResult.Tokens}
 * @param drainInterval how often results are forwarded; Streams' {@code poll.ms} bounds it from
 *     below
 * @param dedupRetention how long the id of a finished request is remembered
 * @param maxAttempts a request taken up so often without a new token ends in an error
 * @param onModelChange what becomes of a half-done generation on another model
 * @param bulkAging after this long a bulk request is served like an interactive one
 * @param maxRequestBytes the most bytes of a stored request, and of what a completion may come to
 *     by several choices and log-probabilities
 */
public record GenerationSettings(
    int window,
    int maxUncommittedTokens,
    int maxTokensPerRecord,
    Duration drainInterval,
    Duration dedupRetention,
    int maxAttempts,
    ModelChange onModelChange,
    Duration bulkAging,
    int maxRequestBytes) {

  /** Ten years: as good as never, and far from what a clock in nanoseconds can count. */
  private static final Duration LONGEST_AGING = Duration.ofDays(3650);

  /** The defaults. */
  public static final GenerationSettings DEFAULT =
      new GenerationSettings(
          64,
          4096,
          64,
          Duration.ofMillis(10),
          Duration.ofHours(24),
          3,
          ModelChange.FAIL,
          Duration.ofSeconds(30),
          4 << 20);

  /**
   * Checks the settings.
   *
   * @throws IllegalArgumentException if one is impossible; the message says what would be valid
   */
  public GenerationSettings {
    atLeastOne("window", window);
    atLeastOne("max uncommitted tokens", maxUncommittedTokens);
    atLeastOne("max tokens per record", maxTokensPerRecord);
    atLeastOne("max attempts", maxAttempts);
    atLeastOne("max request bytes", maxRequestBytes);
    atLeastOne("drain interval in ms", drainInterval.toMillis());
    atLeastOne("dedup retention in ms", dedupRetention.toMillis());
    Objects.requireNonNull(onModelChange, "onModelChange");
    if (bulkAging.isNegative() || bulkAging.compareTo(LONGEST_AGING) > 0) {
      throw new IllegalArgumentException(
          "bulk aging is " + bulkAging + "; valid is zero to " + LONGEST_AGING);
    }
  }

  private static void atLeastOne(final String setting, final long value) {
    if (value < 1) {
      throw new IllegalArgumentException(setting + " is " + value + "; valid is 1 or more");
    }
  }
}
