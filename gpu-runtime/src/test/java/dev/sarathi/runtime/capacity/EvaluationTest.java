package dev.sarathi.runtime.capacity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sarathi.runtime.execute.simulated.Deployment;
import dev.sarathi.runtime.schedule.Policy;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EvaluationTest {
  @TempDir private Path directory;

  @Test
  void shouldReportEveryModelTraceAndSlo() throws Exception {
    // given: few requests, for the shape of it
    final List<Evaluation.Row> told = new ArrayList<>();
    final Evaluation evaluation = Evaluation.run(8, 2, told::add);

    // when
    final String report = EvaluationReport.of(evaluation);
    EvaluationPictures.write(evaluation, directory);

    // then
    assertThat(told).hasSize(2 * 2 * Deployment.known().size());
    assertThat(evaluation.rows()).hasSameSizeAs(told);
    assertThat(report.lines().filter(line -> line.startsWith("| ") && line.contains("strict,")))
        .as("a line of capacities and one of budgets for each model and trace")
        .hasSize(2 * 2 * Deployment.known().size());
    assertThat(report)
        .contains("2.78", "4.69 to 6.31", "synthetic", "not measured")
        .doesNotContain("%%");
    assertThat(directory.resolve("capacity-openchat_sharegpt4.svg"))
        .content()
        .contains("stall-free");
    assertThat(directory.resolve("timeline-prefill-first.svg")).content().contains("request 4");
  }

  @Test
  void shouldPredictTheMeasuredOverheadOfChunks() {
    assertThat(Evaluation.chunkOverheads())
        .allSatisfy(c -> assertThat(c.asArtifact()).isCloseTo(c.measured(), within(0.1)));
  }

  @Test
  void shouldStallUnderPrefillFirstOnly() {
    assertThat(longestGap(Policy.PREFILL_FIRST)).isGreaterThan(3 * longestGap(Policy.STALL_FREE));
  }

  private static double longestGap(final Policy policy) {
    final Workload two =
        new Workload(
            "two",
            8_192,
            List.of(new Workload.Request(0, 512, 40), new Workload.Request(0.5, 4_096, 4)));
    final Replay replay = new Replay(Scenario.of(Deployment.named("yi-34b"), policy, 512, two), 1);
    replay.run(new Slo(1e9, 1e9));
    return replay.p99Tbt();
  }
}
