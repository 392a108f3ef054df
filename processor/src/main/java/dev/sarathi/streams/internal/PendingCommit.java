package dev.sarathi.streams.internal;

import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.streams.GenerationObserver;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * When the tokens were emitted that a turn has written. The turn asks for a commit, which Streams
 * makes before it calls the next turn of that thread; a commit that fails ends the incarnation, and
 * this with it. (A rebalance under way can defer a commit: then a token is told of too early.)
 *
 * <p>Threading: confined to the stream thread.
 */
final class PendingCommit {
  private final List<TokenDelta> deltas = new ArrayList<>();

  /** Notes what is written. */
  void add(final List<TokenDelta> written) {
    deltas.addAll(written);
  }

  /** Tells of what was noted. */
  void isOver(final GenerationObserver observer) {
    if (deltas.isEmpty()) {
      return;
    }
    final Instant now = Instant.now();
    for (final TokenDelta delta : deltas) {
      if (delta.tokens().length > 0) {
        observer.onCommitted(Math.max(0, Duration.between(delta.emittedAt(), now).toNanos()));
      }
    }
    deltas.clear();
  }
}
