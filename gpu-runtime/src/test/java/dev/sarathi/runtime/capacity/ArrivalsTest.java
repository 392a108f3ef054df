package dev.sarathi.runtime.capacity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ArrivalsTest {

  @ParameterizedTest
  @ValueSource(doubles = {0.5, 1, 2, 4})
  void shouldHaveTheirMeanAndVariation(final double cv) {
    final double[] gaps = new Arrivals(cv, 1).gaps(400_000);

    final double mean = Arrays.stream(gaps).average().orElseThrow();
    final double variance =
        Arrays.stream(gaps).map(gap -> (gap - mean) * (gap - mean)).average().orElseThrow();
    assertThat(mean).isCloseTo(1, within(0.02));
    assertThat(Math.sqrt(variance)).isCloseTo(cv, Percentage.withPercentage(3));
  }

  @Test
  void shouldBeTheSameForTheSameSeed() {
    assertThat(new Arrivals(4, 7).gaps(100)).isEqualTo(new Arrivals(4, 7).gaps(100));
    assertThat(new Arrivals(4, 7).gaps(100)).isNotEqualTo(new Arrivals(4, 8).gaps(100));
  }

  @Test
  void shouldRefuseAnImpossibleVariation() {
    assertThatThrownBy(() -> new Arrivals(0, 1))
        .hasMessage("coefficient of variation is 0.0; valid is above 0, at most 100");
  }
}
