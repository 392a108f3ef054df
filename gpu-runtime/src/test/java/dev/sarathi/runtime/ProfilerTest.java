package dev.sarathi.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.runtime.execute.Calibration;
import dev.sarathi.runtime.execute.simulated.Deployment;
import dev.sarathi.runtime.execute.simulated.SimulatedExecutor;
import dev.sarathi.runtime.schedule.BatchShape;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ProfilerTest {
  private static final Path STORYTELLER = Path.of("../models/storyteller");

  @TempDir private Path directory;

  @Test
  void shouldSimulateWhatItMeasured() throws Exception {
    // given
    final Path file = directory.resolve("profile.json");
    Profiler.profile(
            EngineConfig.of(STORYTELLER).withWarmUp(Duration.ofMillis(500)), Duration.ofSeconds(5))
        .write(file);
    final Deployment profile = Deployment.read(file);
    final Map<BatchShape, Double> measured = new HashMap<>();
    profile.measured().forEach(m -> measured.put(m.shape(), m.millis()));

    // when
    final List<Double> ratios = new ArrayList<>();
    new Calibration(new SimulatedExecutor(profile, 5), 4_096, 4_096)
        .run(
            Long.MAX_VALUE / 2,
            () -> false,
            (batch, nanos) -> {
              final Double millis = measured.get(BatchShape.of(batch));
              if (millis != null) {
                ratios.add(nanos / 1e6 / millis);
              }
            });

    // then: other work on the machine disturbs single batches, so the median
    assertThat(ratios).hasSizeGreaterThan(6);
    assertThat(ratios.stream().sorted().skip(ratios.size() / 2).findFirst().orElseThrow())
        .isBetween(0.5, 2.0);
  }

  @Test
  void shouldRefuseAFileThatIsNoProfile() throws Exception {
    final Path file = Files.writeString(directory.resolve("no.json"), "{\"name\": \"x\"}");

    assertThatThrownBy(() -> Deployment.read(file))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("no.json is no profile");
  }
}
