package dev.sarathi.streams.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.runtime.EngineFailedException;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.runtime.TokenListener;
import dev.sarathi.streams.GenerationResult.Provenance;
import dev.sarathi.streams.Origin;
import dev.sarathi.streams.internal.stored.StoredRequest;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.junit.jupiter.api.Test;

class ResultQueueTest {
  private final ResultQueue<String, String> queue = new ResultQueue<>(4);
  private final ActiveRequest<String, String> request = request();
  private final TokenListener listener = queue.listener(request);

  @Test
  void shouldHandOverInOrderAndOnce() {
    // given
    final TokenDelta first = delta(0, 1);
    final TokenDelta second = delta(1, 2);

    // when
    listener.onTokens(first);
    listener.onTokens(second);

    // then
    assertThat(queue.drain().get(request)).containsExactly(first, second);
    assertThat(queue.drain()).isEmpty();
  }

  @Test
  void shouldWelcomeNoMoreTokensThanMayBeUncommitted() {
    listener.onTokens(delta(0, 3));
    assertThat(listener.accepts()).isTrue();

    listener.onTokens(delta(3, 1));
    assertThat(listener.accepts()).isFalse();

    queue.drain();
    assertThat(listener.accepts()).isTrue();
  }

  @Test
  void shouldDropAndCountWhatComesForAnIncarnationThatIsOver() {
    // given
    listener.onTokens(delta(0, 2));

    // when
    queue.close();
    listener.onTokens(delta(2, 1));

    // then
    assertThat(queue.drain()).isEmpty();
    assertThat(queue.staleTokens()).isEqualTo(3);
  }

  @Test
  void shouldSayThatTheEngineFailed() {
    listener.onEngineFailure(new EngineFailedException("broken", null));

    assertThatThrownBy(queue::drain)
        .isInstanceOf(EngineFailedException.class)
        .hasMessageContaining("broken");
  }

  private static TokenDelta delta(final int index, final int tokens) {
    return new TokenDelta(
        0,
        index,
        new int[tokens],
        List.of(),
        List.of(),
        "",
        Instant.EPOCH,
        Optional.empty(),
        false);
  }

  private static ActiveRequest<String, String> request() {
    final Origin<String, String> origin =
        new Origin<>(
            Optional.of("k"), Optional.of("v"), new RecordHeaders(), Instant.EPOCH, "t", 0, 0);
    final Requests<String, String> requests =
        new Requests<>(
            (key, value) -> key,
            GenerationRequest::of,
            Serdes.String(),
            Serdes.String(),
            Optional::ofNullable);
    final StoredRequest stored = requests.store("k", GenerationRequest.of("k", "v"), origin);
    return new ActiveRequest<>(
        Bytes.wrap(new byte[1]), stored, origin, new Provenance(1, "f", Optional.empty()));
  }
}
