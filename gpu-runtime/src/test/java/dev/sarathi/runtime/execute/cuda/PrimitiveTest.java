package dev.sarathi.runtime.execute.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class PrimitiveTest {
  private static final int TRIALS = 100;

  @ParameterizedTest
  @EnumSource
  void shouldDoOnTheTwinWhatTheManualSays(final Primitive primitive) {
    assumeThat(TwinDriver.built()).as("a C++ compiler was there to build the twin").isTrue();
    try (Driver twin = new TwinDriver(1)) {
      assertThat(primitive.error(primitive.run(twin)))
          .isLessThanOrEqualTo(primitive.allowedError());
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldSeeEveryResultThatIsAnother(final Primitive primitive) {
    assumeThat(TwinDriver.built()).as("a C++ compiler was there to build the twin").isTrue();
    final Random random = new Random(1);
    final int[] results;
    try (Driver twin = new TwinDriver(1)) {
      results = primitive.run(twin);
    }
    for (int trial = 0; trial < TRIALS; trial++) {
      // given two results that changed places
      final int one = random.nextInt(results.length);
      final int other = random.nextInt(results.length);
      if (results[one] == results[other]) {
        continue;
      }
      final int[] changed = results.clone();
      changed[one] = results[other];
      changed[other] = results[one];

      // when, then
      assertThat(primitive.error(changed))
          .as("results %d and %d", one, other)
          .isGreaterThan(primitive.allowedError());
    }
  }
}
