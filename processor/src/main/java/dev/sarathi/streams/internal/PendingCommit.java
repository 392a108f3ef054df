package dev.sarathi.streams.internal;

import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.streams.GenerationObserver;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * When the tokens were emitted that a turn has written, the first of each request. The turn asks
 * for a commit, which Streams makes before it calls the next turn of that thread; a commit that
 * fails ends the incarnation, and this with it. (A rebalance under way can defer a commit: then a
 * token is told of too early.)
 *
 * <p>Threading: confined to the stream thread.
 */
final class PendingCommit {
  private final List<Instant> emitted = new ArrayList<>();

  /** Notes what is written of a request. */
  void add(final List<TokenDelta> written) {
    for (final TokenDelta delta : written) {
      if (delta.tokens().length > 0) {
        emitted.add(delta.emittedAt());
        return;
      }
    }
  }

  /** Tells of what was noted. */
  void isOver(final GenerationObserver observer) {
    if (emitted.isEmpty()) {
      return;
    }
    final Instant now = Instant.now();
    for (final Instant first : emitted) {
      observer.onCommitted(Math.max(0, Duration.between(first, now).toNanos()));
    }
    emitted.clear();
  }
}
