package dev.sarathi.streams.internal;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.streams.GenerationObserver;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class PendingCommitTest {
  private final List<Duration> heard = new ArrayList<>();
  private final GenerationObserver observer =
      new GenerationObserver() {
        @Override
        public void onCommitted(final long nanos) {
          heard.add(Duration.ofNanos(nanos));
        }
      };
  private final PendingCommit commit = new PendingCommit();

  @Test
  void shouldTellOnceOfTheFirstTokenOfEachRequest() {
    // given three requests: the first begins with a delta without a token, the last has no token
    final Instant now = Instant.now();
    commit.add(
        List.of(
            delta(now.minus(Duration.ofHours(9))),
            delta(now.minus(Duration.ofHours(5)), 1),
            delta(now.minus(Duration.ofHours(4)), 2)));
    commit.add(List.of(delta(now.minus(Duration.ofHours(3)), 3)));
    commit.add(List.of(delta(now)));

    // when
    commit.isOver(observer);
    commit.isOver(observer);

    // then
    assertThat(heard).map(Duration::toHours).containsExactly(5L, 3L);
  }

  private static TokenDelta delta(final Instant emittedAt, final int... tokens) {
    return new TokenDelta(
        0, 0, tokens, List.of(), List.of(), "", emittedAt, Optional.empty(), false);
  }
}
