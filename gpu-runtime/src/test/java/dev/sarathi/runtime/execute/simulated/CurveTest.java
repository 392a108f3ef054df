package dev.sarathi.runtime.execute.simulated;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class CurveTest {
  private final Curve curve = new Curve(new TreeMap<>(Map.of(8L, 1.0, 16L, 3.0, 32L, 4.0)));

  @Test
  void shouldGiveWhatWasMeasured() {
    assertThat(curve.at(8)).isEqualTo(1);
    assertThat(curve.at(16)).isEqualTo(3);
    assertThat(curve.at(32)).isEqualTo(4);
  }

  @Test
  void shouldDrawStraightLinesBetweenMeasurements() {
    assertThat(curve.at(12)).isCloseTo(2, within(1e-12));
    assertThat(curve.at(20)).isCloseTo(3.25, within(1e-12));
  }

  @Test
  void shouldGoOnBeyondTheLastAndStayBeforeTheFirst() {
    assertThat(curve.at(48)).isCloseTo(5, within(1e-12));
    assertThat(curve.at(1)).isEqualTo(1);
  }
}
