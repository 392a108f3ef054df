package dev.sarathi.runtime.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class DecodeFirstTest {

  @Test
  void shouldAdmitNobodyBeforeAllOfABatchHaveEnded() {
    // given
    final Iterations iterations = new Iterations(Policy.DECODE_FIRST, 1_000, 16);
    iterations.add(0, 10);
    iterations.add(1, 40);
    assertThat(iterations.step()).containsExactly("0: 0..10", "1: 0..40");

    // when
    iterations.add(2, 5);

    // then
    assertThat(iterations.step()).containsExactly("0: 10..11", "1: 40..41");
    iterations.scheduler.remove(0);
    assertThat(iterations.step()).containsExactly("1: 41..42");
    iterations.scheduler.remove(1);
    assertThat(iterations.step()).containsExactly("2: 0..5");
  }

  @Test
  void shouldNotPrefillWhileDecodesAreInFlight() {
    // given: all that the first may generate is in flight
    final Iterations iterations = new Iterations(Policy.DECODE_FIRST, 1_000, 16);
    iterations.add(0, 10, 2);
    iterations.submit();
    iterations.submit();
    iterations.add(1, 10);

    // then
    assertThat(iterations.submit()).isEmpty();
    iterations.complete();
    iterations.complete();
    assertThat(iterations.submit()).isEmpty();
    iterations.scheduler.remove(0);
    assertThat(iterations.submit()).containsExactly("1: 0..10");
  }
}
