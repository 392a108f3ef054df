package dev.sarathi.streams.http;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sarathi.runtime.Iteration;
import dev.sarathi.runtime.Iteration.Part;
import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class IterationHistoryTest {
  private static final long MILLI = 1_000_000;

  private final IterationHistory history = new IterationHistory();

  @Test
  void shouldKeepTheLastThousandIterationsAndSayWhatIsNew() {
    // when
    LongStream.range(0, 2_500).forEach(id -> see(id, List.of(decode(1, 10)), List.of()));

    // then
    assertThat(history.since(0))
        .hasSize(IterationHistory.CAPACITY)
        .extracting(IterationHistory.Entry::number)
        .isSorted()
        .startsWith(1_500L)
        .endsWith(2_499L);
    assertThat(history.since(2_498)).hasSize(2);
    assertThat(history.since(2_500)).isEmpty();
  }

  @Test
  void shouldTellChunksFromDecodesAndTheBudgetOfBoth() {
    // when
    see(7, List.of(decode(1, 10), decode(2, 20), prefill(3, 0, 126)), List.of());

    // then
    assertThat(history.since(0))
        .singleElement()
        .satisfies(
            entry -> {
              assertThat(entry.decodes()).isEqualTo(2);
              assertThat(entry.prefill()).isEqualTo(126);
              assertThat(entry.chunks()).containsExactly(prefill(3, 0, 126));
              assertThat(entry.budget()).isEqualTo(128);
              assertThat(entry.end() - entry.start()).isEqualTo(4 * MILLI);
            });
  }

  @Test
  void shouldFollowASequenceThroughChunksDecodesAndAPreemption() {
    // given: a prompt of 30 tokens in two chunks
    see(0, List.of(prefill(1, 0, 20)), List.of());
    see(1, List.of(prefill(1, 20, 10)), List.of());
    assertThat(only().phase()).isEqualTo(LiveSequence.Phase.PREFILL);
    assertThat(only().known()).isEqualTo(30);
    assertThat(only().generated()).isZero();

    // when, then: a decode tells that the prompt has ended, with a token
    see(2, List.of(decode(1, 30)), List.of());
    assertThat(only().phase()).isEqualTo(LiveSequence.Phase.DECODE);
    assertThat(only().generated()).isEqualTo(2);

    // when, then: preempted, it computes what it has generated anew, and the next token with it
    see(3, List.of(decode(2, 5)), List.of(1L));
    assertThat(of(1).phase()).isEqualTo(LiveSequence.Phase.PREEMPTED);
    see(4, List.of(prefill(1, 0, 32)), List.of());
    see(5, List.of(decode(1, 32)), List.of());
    assertThat(of(1).generated()).isEqualTo(4);

    // then: from first to last token, 3 gaps of 5, 10 and 5 ms
    final ObjectNode gaps = history.timeBetweenTokens().json(System.nanoTime());
    assertThat(count(gaps, "since_start", 5)).isEqualTo(2);
    assertThat(count(gaps, "since_start", 10)).isEqualTo(1);
    assertThat(count(gaps, "last_minute", 5)).isEqualTo(2);
  }

  @Test
  void shouldForgetWhatHasEndedThoughABatchInFlightHadAPartOfIt() {
    see(0, List.of(prefill(1, 0, 20)), List.of());
    history.onIteration(iteration(1, List.of(decode(1, 20)), List.of(), List.of(1L), List.of()));
    assertThat(history.sequences()).isEmpty();
    see(2, List.of(decode(1, 21)), List.of());
    assertThat(history.sequences()).isEmpty();
  }

  @Test
  void shouldCountTimesToFirstTokenOfTheLastMinuteAndSinceTheStart() {
    // when
    history.onIteration(
        iteration(0, List.of(), List.of(), List.of(), List.of(40 * MILLI, 20_000 * MILLI)));

    // then
    final ObjectNode now = history.timeToFirstToken().json(System.nanoTime());
    assertThat(count(now, "last_minute", 50)).isEqualTo(1);
    assertThat(now.path("last_minute").path(LatencyHistogram.BOUNDS.length).asInt()).isEqualTo(1);
    final ObjectNode later = history.timeToFirstToken().json(System.nanoTime() + 61_000_000_000L);
    assertThat(count(later, "last_minute", 50)).isZero();
    assertThat(count(later, "since_start", 50)).isEqualTo(1);
  }

  private static int count(final ObjectNode node, final String span, final int bound) {
    for (int bucket = 0; bucket < LatencyHistogram.BOUNDS.length; bucket++) {
      if (LatencyHistogram.BOUNDS[bucket] == bound) {
        return node.path(span).path(bucket).asInt();
      }
    }
    throw new AssertionError("no bucket ends at " + bound);
  }

  private LiveSequence only() {
    assertThat(history.sequences()).hasSize(1);
    return history.sequences().iterator().next();
  }

  private LiveSequence of(final long sequence) {
    return history.sequences().stream()
        .filter(it -> it.sequence() == sequence)
        .findFirst()
        .orElseThrow();
  }

  private void see(final long id, final List<Part> parts, final List<Long> preempted) {
    history.onIteration(iteration(id, parts, preempted, List.of(), List.of()));
  }

  /** One every 5 ms, which takes 4 ms. */
  private static Iteration iteration(
      final long id,
      final List<Part> parts,
      final List<Long> preempted,
      final List<Long> ended,
      final List<Long> timesToFirstToken) {
    return new Iteration(
        id,
        id * 5 * MILLI,
        (id * 5 + 4) * MILLI,
        parts,
        preempted,
        ended,
        0,
        2,
        3,
        0,
        10,
        0,
        0,
        128,
        timesToFirstToken);
  }

  private static Part prefill(final long sequence, final int start, final int tokens) {
    return new Part(sequence, "request " + sequence, 0, true, start, tokens);
  }

  private static Part decode(final long sequence, final int start) {
    return new Part(sequence, "request " + sequence, 0, false, start, 1);
  }
}
