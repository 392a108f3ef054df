package dev.sarathi.streams.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The reference of the metrics is generated from their definitions, never written by hand. */
class MetricsReferenceTest {
  private static final Path REFERENCE = Path.of("../docs/metrics.md");
  private static final Pattern NAME =
      Pattern.compile("\\b(sarathi_[a-z0-9_]+?)(?:_bucket|_sum|_count)?\\b");
  private static final String WRITE = "sarathi.docs.write";

  @Test
  void shouldBeWhatTheDefinitionsSay() throws IOException {
    final String generated = reference();
    if (Boolean.getBoolean(WRITE)) {
      Files.writeString(REFERENCE, generated);
    }

    assertThat(Files.readString(REFERENCE))
        .as("docs/metrics.md is stale: run the tests once with -D%s=true", WRITE)
        .isEqualTo(generated);
  }

  @Test
  void shouldKnowEveryMetricThatDashboardAndAlertsAskFor() throws IOException {
    final Set<String> known =
        Arrays.stream(Metric.values()).map(Metric::prometheusName).collect(Collectors.toSet());
    for (final String file :
        List.of("../deploy/grafana/dashboards/sarathi.json", "../deploy/prometheus/alerts.yml")) {
      assertThat(NAME.matcher(Files.readString(Path.of(file))).results())
          .as(file)
          .isNotEmpty()
          .allSatisfy(match -> assertThat(known).contains(match.group(1)));
    }
  }

  private static String reference() {
    return """
    # Metrics

    Generated from `Metric`; do not edit. What to look at, and what to do, is in [monitor](monitor.md).

    ## Prometheus

    At `/metrics` of each instance that has `sarathi.http.listen`. Every series has the label `model_name`. A histogram
    has the series `_bucket` (label `le`), `_sum` and `_count`, and a gauge `_max`, the largest value of the last minutes. Names
    that vLLM has too, under `vllm:`, mean what they mean there.

    | metric | type | unit | labels | meaning |
    | --- | --- | --- | --- | --- |
    """
        + Arrays.stream(Metric.values())
            .map(MetricsReferenceTest::row)
            .collect(Collectors.joining())
        + "\n"
        + "## Buckets\n\n"
        + "Upper bounds, in the metric's unit.\n\n"
        + "| histograms | buckets |\n"
        + "| --- | --- |\n"
        + Arrays.stream(Metric.values())
            .filter(metric -> metric.buckets().length > 0)
            .collect(Collectors.groupingBy(metric -> buckets(metric.buckets())))
            .entrySet()
            .stream()
            .sorted(java.util.Comparator.comparing(e -> e.getValue().getFirst()))
            .map(e -> "| %s | %s |%n".formatted(names(e.getValue()), e.getKey()))
            .collect(Collectors.joining())
        + """

        ## JMX and client telemetry

        The processor's own sensors, as `kafka.streams:type=stream-generation-metrics,thread-id=…,generation-id=…` for each
        task (`generation-id`) and thread, and the same in Streams' client telemetry (KIP-714). A `-total` counts since the task came
        to this thread. Where Prometheus has a metric of the same, it is read from the sensor at each scrape.

        | attributes | in Prometheus |
        | --- | --- |
        """
        + Stream.concat(
                Stream.of("waiting", "waiting-oldest-ms"),
                Stream.of(
                    "finished-total",
                    "finished-stop-total",
                    "finished-length-total",
                    "finished-cancelled-total",
                    "finished-deadline-total",
                    "finished-error-total",
                    "resumed-total",
                    "recomputed-tokens-total",
                    "stale-tokens-total",
                    "cached-tokens-total",
                    "duplicates-total",
                    "rejected-total",
                    "undecodable-total"))
            .map(MetricsReferenceTest::sensorRow)
            .collect(Collectors.joining())
        + """

        `undecodable` is in `kafka.streams:type=stream-decode-metrics,thread-id=…,decode-id=…`. `sarathi_commit_latency_*`, `sarathi_input_lag_records` and
        `sarathi_rebalances_total` are `commit-latency-avg` and `-max` of `stream-thread-metrics`, `records-lag` of
        `consumer-fetch-manager-metrics` and `rebalance-total` of `consumer-coordinator-metrics`.
        """;
  }

  private static String row(final Metric metric) {
    return "| `%s` | %s | %s | %s | %s |%n"
        .formatted(
            metric.prometheusName(),
            metric.type().name().toLowerCase(Locale.ROOT),
            metric.unit(),
            metric.labels().stream()
                .map(label -> "`" + label + "`")
                .collect(Collectors.joining(", ")),
            metric.help().replaceAll("(sarathi(?:\\.[a-z]+)+)", "`$1`"));
  }

  private static String names(final List<Metric> metrics) {
    return metrics.stream()
        .map(metric -> "`" + metric.prometheusName() + "`")
        .collect(Collectors.joining(", "));
  }

  private static String buckets(final double[] bounds) {
    return Arrays.stream(bounds)
        .mapToObj(bound -> bound == Math.rint(bound) ? "%.0f".formatted(bound) : "" + bound)
        .collect(Collectors.joining(", "));
  }

  private static String sensorRow(final String sensor) {
    final String attributes =
        sensor.endsWith("-total")
            ? "`%s`, `%s`".formatted(sensor.replace("-total", "-rate"), sensor)
            : "`" + sensor + "`";
    return "| %s | %s |%n".formatted(attributes, inPrometheus(sensor));
  }

  private static String inPrometheus(final String sensor) {
    if (sensor.matches("finished-.*-total")) {
      return "`%s{finished_reason=\"%s\"}`"
          .formatted(
              Metric.REQUEST_SUCCESS.prometheusName(), sensor.replaceAll("finished-|-total", ""));
    }
    if (sensor.startsWith("rejected") || sensor.startsWith("undecodable")) {
      return "`%s{reason=\"%s\"}`"
          .formatted(Metric.DEAD_LETTERS.prometheusName(), sensor.replace("-total", ""));
    }
    return Arrays.stream(Metric.values())
        .filter(metric -> metric.sensor().filter(sensor::equals).isPresent())
        .map(metric -> "`" + metric.prometheusName() + "`")
        .findAny()
        .orElse("");
  }
}
