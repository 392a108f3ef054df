package dev.sarathi.runtime;

import dev.sarathi.runtime.constrain.Guide;
import dev.sarathi.runtime.schedule.Sequence;
import java.util.Optional;
import java.util.Set;

/**
 * One of the continuations of a generation in the engine: follows its sequence's tokens and decides
 * when it ends.
 *
 * <p>Threading: confined to the engine thread.
 */
final class Choice {
  private final int index;
  private final Sequence sequence;
  private final int maxTokens;
  private final Set<Integer> endTokens;
  private final TextStream text;
  private final Optional<Guide> guide;
  private long firstToken = -1;
  private long lastToken = -1;
  private long longestGap;
  private boolean over;

  /** What one token brought: the text that became certain, and why the choice ended if it did. */
  record Gain(String text, Optional<FinishReason> end) {}

  /**
   * @param maxTokens the request's maximum, cut to what the context holds
   * @param endTokens the tokens that end it
   * @param guide what the sequence follows, if its text is constrained
   */
  Choice(
      final int index,
      final Sequence sequence,
      final int maxTokens,
      final Set<Integer> endTokens,
      final TextStream text,
      final Optional<Guide> guide) {
    this.index = index;
    this.sequence = sequence;
    this.maxTokens = maxTokens;
    this.endTokens = endTokens;
    this.text = text;
    this.guide = guide;
  }

  int index() {
    return index;
  }

  Sequence sequence() {
    return sequence;
  }

  boolean isOver() {
    return over;
  }

  void end() {
    over = true;
  }

  /** How many tokens of the prompt were taken from the prefix cache. */
  int cachedTokens(final int promptLength) {
    return Math.min(promptLength, sequence.cachedTokens());
  }

  /** When its first token came, or -1. */
  long firstToken() {
    return firstToken;
  }

  /** When its latest token came, or -1. */
  long lastToken() {
    return lastToken;
  }

  long longestGap() {
    return longestGap;
  }

  /** Takes the token that the sequence has just gained. */
  Gain accept(final int token, final long now) {
    if (firstToken < 0) {
      firstToken = now;
    } else {
      longestGap = Math.max(longestGap, now - lastToken);
    }
    lastToken = now;
    final boolean ended = endTokens.contains(token);
    String delta = ended ? "" : text.push(token);
    Optional<FinishReason> reason = Optional.empty();
    if (ended || text.stopped() || guide.filter(Guide::isComplete).isPresent()) {
      reason = Optional.of(FinishReason.STOP);
    } else if (sequence.generated() == maxTokens) {
      // A number may go on, but it need not.
      reason =
          Optional.of(
              guide.filter(Guide::accepts).isPresent() ? FinishReason.STOP : FinishReason.LENGTH);
    }
    if (reason.isPresent() && !text.stopped()) {
      delta += text.finish();
    }
    return new Gain(delta, reason);
  }

  /** The text that was held back, when the choice ends without a further token. */
  String rest() {
    return text.finish();
  }
}
