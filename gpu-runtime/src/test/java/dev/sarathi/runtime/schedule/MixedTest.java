package dev.sarathi.runtime.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class MixedTest {

  @Test
  void shouldComputeWholePromptsBesideDecodesHoweverLong() {
    final Iterations iterations = new Iterations(Policy.MIXED, 1_000, 16);
    iterations.add(0, 10);
    iterations.step();
    iterations.add(1, 90);
    iterations.add(2, 80);

    assertThat(iterations.step()).containsExactly("0: 10..11", "1: 0..90", "2: 0..80");
  }

  @Test
  void shouldReserveWhatARequestMayGenerate() {
    // given: 10 blocks, of which the first prompt needs 1, but with its answer 6
    final Iterations iterations = new Iterations(Policy.MIXED, 10, 512);
    iterations.add(0, 10, 80);
    iterations.add(1, 10, 60);

    // then
    assertThat(iterations.step()).containsExactly("0: 0..10");
    assertThat(iterations.pool.free()).isEqualTo(4);
    assertThat(iterations.step()).containsExactly("0: 10..11");
    iterations.scheduler.remove(0);
    assertThat(iterations.step()).containsExactly("1: 0..10");
  }
}
