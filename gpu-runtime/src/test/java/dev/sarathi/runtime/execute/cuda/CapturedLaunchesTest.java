package dev.sarathi.runtime.execute.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.execute.cpu.Generations;
import dev.sarathi.runtime.execute.cpu.Golden;
import dev.sarathi.runtime.model.Model;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class CapturedLaunchesTest {

  @BeforeEach
  void requireTwin() {
    assumeThat(TwinDriver.built()).as("a C++ compiler was there to build the twin").isTrue();
  }

  /**
   * Decodes of one sequence, then of up to nine that end one after the other: other rows, lengths
   * and blocks in every batch, over the end of a span of keys, and plans that outgrow their memory.
   */
  private static List<float[]> logits(final Driver driver, final boolean capturing) {
    try (Model model = Model.open(Golden.LLAMA3);
        CudaExecutor executor =
            new CudaExecutor(
                driver, model, 64, 1024, WeightFormat.STORED, capturing, free -> 128)) {
      final Generations generations = new Generations(executor, 3);
      final Random random = new Random(5);
      final int vocabulary = model.config().vocabularySize();
      generations.add(random.ints(3, 0, vocabulary).toArray(), 8);
      for (int i = 0; i < 6; i++) {
        generations.step(64);
      }
      generations.add(random.ints(253, 0, vocabulary).toArray(), 20);
      for (int i = 0; i < 8; i++) {
        generations.add(random.ints(1 + 9 * i, 0, vocabulary).toArray(), 6 + 6 * (i % 3));
      }
      return generations.finish(64).stream().flatMap(running -> running.logits.stream()).toList();
    }
  }

  @Test
  void shouldChangeNoBit() {
    // given
    final CountingDriver plain = new CountingDriver(1);
    final CountingDriver capturing = new CountingDriver(2);

    // when
    final List<float[]> expected = logits(plain.driver(), false);
    final List<float[]> actual = logits(capturing.driver(), true);

    // then
    assertThat(actual.toArray(float[][]::new)).isDeepEqualTo(expected.toArray(float[][]::new));
    assertThat(plain.captured).isZero();
    assertThat(capturing.captured).isGreaterThan(2);
    assertThat(capturing.replayed).isGreaterThan(2 * capturing.captured);
  }
}
