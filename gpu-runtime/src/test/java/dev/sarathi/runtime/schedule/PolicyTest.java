package dev.sarathi.runtime.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class PolicyTest {

  @ParameterizedTest
  @EnumSource
  void shouldBeFoundByItsName(final Policy policy) {
    assertThat(Policy.named(policy.toString())).isEqualTo(policy);
  }

  @Test
  void shouldListTheValidNames() {
    assertThatThrownBy(() -> Policy.named("fair"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "policy is fair; valid is stall-free, prefill-first, mixed, decode-first,"
                + " chunked-only, hybrid-only");
  }

  @Test
  void shouldComputeWholePromptsBesideDecodesUnderHybridOnly() {
    final Iterations iterations = new Iterations(Policy.HYBRID_ONLY, 100, 16);
    iterations.add(0, 10);
    iterations.step();
    iterations.add(1, 90);

    assertThat(iterations.step()).containsExactly("0: 10..11", "1: 0..90");
  }
}
