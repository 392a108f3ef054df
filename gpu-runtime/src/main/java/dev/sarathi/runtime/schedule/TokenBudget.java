package dev.sarathi.runtime.schedule;

import java.time.Duration;

/** How many tokens an iteration has, decodes and prefill together; decodes are not cut by it. */
public sealed interface TokenBudget {
  /** The name of {@link Adaptive} in configurations. */
  String AUTO = "auto";

  /** What is taken where nothing else is known. */
  int DEFAULT_TOKENS = 512;

  /** The smallest that is sensible: below it a chunk would not fill one KV block. */
  int MIN_TOKENS = 16;

  /** The target for the time between tokens where none is set. */
  Duration DEFAULT_TARGET = Duration.ofMillis(200);

  /** The same in every iteration. */
  record Fixed(int tokens) implements TokenBudget {
    public Fixed {
      if (tokens < 1) {
        throw new IllegalArgumentException(
            "token budget is %d; valid is 1 or more".formatted(tokens));
      }
    }

    @Override
    public int most() {
      return tokens;
    }

    @Override
    public String toString() {
      return Integer.toString(tokens);
    }
  }

  /**
   * Chosen anew for each iteration, from how long iterations have taken and from the time that the
   * running decodes can spare. Only {@link Policy#STALL_FREE} adapts; with the others it stands for
   * {@value #DEFAULT_TOKENS} tokens.
   *
   * @param target for the time between two tokens of a sequence, in 99 of 100 cases
   */
  record Adaptive(Duration target) implements TokenBudget {
    /** Beyond it chunks gain nothing, and an executor would need room for their activations. */
    public static final int MOST_TOKENS = 4_096;

    public Adaptive {
      if (target.compareTo(Duration.ofMillis(1)) < 0 || target.compareTo(Duration.ofHours(1)) > 0) {
        throw new IllegalArgumentException(
            "TBT target is %s; valid is a millisecond to an hour".formatted(target));
      }
    }

    @Override
    public int tokens() {
      return DEFAULT_TOKENS;
    }

    @Override
    public int most() {
      return MOST_TOKENS;
    }

    @Override
    public String toString() {
      return AUTO;
    }
  }

  /** The tokens of an iteration, where they are the same in all. */
  int tokens();

  /** The most tokens that an iteration may have, but for decodes. */
  int most();

  /**
   * @throws IllegalArgumentException if a chunk would not fill one KV block
   */
  default TokenBudget sensible() {
    if (tokens() < MIN_TOKENS) {
      throw new IllegalArgumentException(
          "token budget is %d; valid is auto, or %d or more".formatted(tokens(), MIN_TOKENS));
    }
    return this;
  }

  /** The same in every iteration. */
  static TokenBudget of(final int tokens) {
    return new Fixed(tokens);
  }

  /**
   * @param text {@code auto} or a number of tokens
   * @param target for the time between two tokens, of {@code auto}
   * @throws IllegalArgumentException if it is neither
   */
  static TokenBudget parse(final String text, final Duration target) {
    if (text.equals(AUTO)) {
      return new Adaptive(target);
    }
    try {
      return new Fixed(Integer.parseInt(text)).sensible();
    } catch (final NumberFormatException e) {
      throw new IllegalArgumentException(
          "token budget is %s; valid is auto, or %d or more".formatted(text, MIN_TOKENS), e);
    }
  }
}
