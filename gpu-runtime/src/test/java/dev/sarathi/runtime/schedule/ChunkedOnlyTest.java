package dev.sarathi.runtime.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ChunkedOnlyTest {

  @Test
  void shouldTakeTurnsBetweenChunksAndDecodes() {
    final Iterations iterations = new Iterations(Policy.CHUNKED_ONLY, 100, 16);
    iterations.add(0, 4);
    iterations.add(1, 40);

    assertThat(iterations.step()).containsExactly("0: 0..4", "1: 0..12");
    assertThat(iterations.step()).containsExactly("0: 4..5");
    assertThat(iterations.step()).containsExactly("1: 12..28");
    assertThat(iterations.step()).containsExactly("0: 5..6");
    assertThat(iterations.step()).containsExactly("1: 28..40");
    assertThat(iterations.step()).containsExactly("0: 6..7", "1: 40..41");
  }

  @Test
  void shouldLeaveATurnToTheOtherWhenItHasNoWork() {
    final Iterations iterations = new Iterations(Policy.CHUNKED_ONLY, 100, 16);
    iterations.add(0, 20);

    assertThat(iterations.step()).containsExactly("0: 0..16");
    assertThat(iterations.step()).containsExactly("0: 16..20");
    assertThat(iterations.step()).containsExactly("0: 20..21");
    assertThat(iterations.step()).containsExactly("0: 21..22");
  }
}
