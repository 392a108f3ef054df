package dev.sarathi.runtime.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;

class IterationTimeModelTest {
  private final IterationTimeModel model = new IterationTimeModel();
  private final Random random = new Random(5);

  @Test
  void shouldLearnWhatABatchIsMadeOf() {
    learn(200, 1);

    for (int i = 0; i < 20; i++) {
      final BatchShape shape = shape();
      assertThat(model.millis(shape) / millis(shape)).isCloseTo(1, within(0.05));
    }
    assertThat(model.error()).isLessThan(0.05);
  }

  @Test
  void shouldFollowADeviceThatBecomesSlower() {
    learn(200, 1);

    learn(1_000, 2);

    final BatchShape shape = shape();
    assertThat(model.millis(shape) / millis(shape)).isCloseTo(2, within(0.2));
  }

  @Test
  void shouldKnowNothingAtFirstAndIgnoreWhatIsNoTime() {
    model.observe(shape(), 0);
    model.observe(shape(), Double.NaN);

    assertThat(model.isFitted()).isFalse();
  }

  private void learn(final int batches, final double slowness) {
    for (int i = 0; i < batches; i++) {
      final BatchShape shape = shape();
      model.observe(shape, slowness * millis(shape));
    }
  }

  private BatchShape shape() {
    BatchShape shape = BatchShape.EMPTY;
    for (int i = random.nextInt(100); i > 0; i--) {
      shape = shape.withDecode(random.nextInt(4_000));
    }
    return shape.withChunk(random.nextInt(4_000), 1 + random.nextInt(2_000));
  }

  private static double millis(final BatchShape shape) {
    return 5
        + 0.06 * shape.tokens()
        + 0.01 * shape.decodes()
        + 1e-4 * shape.decodeContext()
        + 3e-6 * shape.prefillWork();
  }
}
