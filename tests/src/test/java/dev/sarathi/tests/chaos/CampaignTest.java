package dev.sarathi.tests.chaos;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class CampaignTest {

  @Test
  void shouldFindNoAnomalyInTwoMinutesOfFaults() throws Exception {
    // given
    final Campaign.Plan plan =
        new Campaign.Plan(
            Duration.ofMinutes(2),
            11,
            3,
            3,
            List.of("classic", "streams"),
            Duration.ofSeconds(5),
            16);

    // when
    final Report report;
    try (Workplace workplace = new Workplace()) {
      try {
        report = new Report(plan, new Campaign(plan, workplace.directory()).run());
      } finally {
        workplace.keepLogs(Path.of("target", "chaos-logs"));
      }
    }
    report.write(Path.of("target", "chaos-report.md"));

    // then: how much fits into two minutes is the machine's business
    assertThat(report.anomalies()).as(report.markdown()).isEmpty();
    assertThat(report.faults()).as(report.markdown()).hasSizeGreaterThanOrEqualTo(5);
    assertThat((Long) report.figures().get("requests")).isGreaterThan(20L);
  }
}
