package dev.sarathi.runtime.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class AdaptiveBudgetTest {
  private static final long MILLISECOND = 1_000_000;

  private final AdaptiveBudget budget =
      new AdaptiveBudget(
          100 * MILLISECOND,
          new Policy.Settings(TokenBudget.of(512), 4_096, 64, Tenancy.EQUAL, 1, Overlap.NONE),
          1_000_000);

  @Test
  void shouldTakeTheDefaultUntilItKnowsMore() {
    assertThat(chunk(0, 10, 0)).isEqualTo(TokenBudget.DEFAULT_TOKENS - 10);
  }

  @Test
  void shouldFillTheSlackInWholeTiles() {
    learn();

    // 5 ms and 0.1 ms a token: 100 ms hold 950 tokens, in tiles 896.
    assertThat(chunk(0, 10, 0)).isEqualTo(896 - 10);
  }

  @Test
  void shouldTakeLessWhereADecodeHasWaited() {
    learn();

    assertThat(chunk(50 * MILLISECOND, 10, 0)).isEqualTo(384 - 10);
  }

  @Test
  void shouldLeavePrefillOneTileWhereThereIsNoSlack() {
    learn();

    assertThat(chunk(99 * MILLISECOND, 10, 0)).isEqualTo(128 - 10);
    assertThat(chunk(99 * MILLISECOND, 200, 0)).isEqualTo(256 - 200);
  }

  private int chunk(final long now, final int decodes, final long oldestToken) {
    return budget
        .prefill(
            decodes,
            _ ->
                new PrefillBudget.Situation(
                    now, new BatchShape(decodes, decodes, 0, 0), oldestToken, 0, Integer.MAX_VALUE))
        .remaining();
  }

  private void learn() {
    for (int i = 0; i < 100; i++) {
      final int tokens = 1 + i * 20;
      final Slice slice =
          new Slice(
              0,
              0,
              tokens,
              new Input.Known(new int[tokens]),
              new int[0],
              Optional.empty(),
              Optional.empty());
      budget.learn(new Batch(i, List.of(slice)), 5 * MILLISECOND + tokens * MILLISECOND / 10);
    }
  }
}
