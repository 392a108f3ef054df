package dev.sarathi.runtime.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class PrefillFirstTest {

  @Test
  void shouldStallDecodesForWholePrompts() {
    // given
    final Iterations iterations = new Iterations(Policy.PREFILL_FIRST, 100, 16);
    iterations.add(0, 10);
    iterations.step();

    // when
    iterations.add(1, 40);
    iterations.add(2, 20);

    // then: the budget is not its concern
    assertThat(iterations.step()).containsExactly("1: 0..40", "2: 0..20");
    assertThat(iterations.step()).containsExactly("0: 10..11", "1: 40..41", "2: 20..21");
  }

  @Test
  void shouldPrefillNoMoreThanTheContextAtOnce() {
    final Iterations iterations = new Iterations(Policy.PREFILL_FIRST, 100, 512);
    iterations.add(0, 60);
    iterations.add(1, 41);
    iterations.add(2, 59);

    assertThat(iterations.step()).containsExactly("0: 0..60");
    assertThat(iterations.step()).containsExactly("1: 0..41", "2: 0..59");
    assertThat(iterations.step()).containsExactly("0: 60..61", "1: 41..42", "2: 59..60");
  }

  @Test
  void shouldPreemptTheYoungestAndRecomputeItWhole() {
    // given: 2 blocks, both full after a decode
    final Iterations iterations = new Iterations(Policy.PREFILL_FIRST, 2, 512);
    iterations.add(0, 15);
    final Sequence younger = iterations.add(1, 15);
    iterations.step();
    iterations.step();

    // when
    assertThat(iterations.step()).containsExactly("0: 16..17");
    iterations.scheduler.remove(0);

    // then
    assertThat(iterations.scheduler.load().preemptions()).isOne();
    assertThat(younger.generated()).isEqualTo(2);
    assertThat(iterations.step()).containsExactly("1: 0..17");
  }
}
