package dev.sarathi.streams.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.junit.jupiter.api.Test;

class StreamsCollectorTest {
  private final Map<MetricName, Metric> sensors = new LinkedHashMap<>();

  @Test
  void shouldTellOfEachTaskAndAddUpWhatTwoThreadsHaveOfOne() throws IOException {
    // given
    generation("waiting", "one", "generate-0_0", 7);
    generation("waiting-oldest-ms", "one", "generate-0_0", 1_500);
    generation("finished-total", "one", "generate-0_0", 9);
    generation("finished-stop-total", "one", "generate-0_0", 5);
    generation("finished-stop-total", "two", "generate-0_0", 4);
    generation("rejected-total", "one", "generate-0_0", 2);
    sensor(
        "undecodable-total",
        "stream-decode-metrics",
        Map.of("thread-id", "one", "decode-id", "decode-0_0"),
        3.0);
    generation("resumed-rate", "one", "generate-0_0", 1);

    // then
    assertThat(scraped())
        .contains("sarathi_backlog_requests{model_name=\"m\",task=\"generate-0_0\"} 7.0")
        .contains("sarathi_backlog_age_seconds{model_name=\"m\",task=\"generate-0_0\"} 1.5")
        .contains(
            "sarathi_request_success_total{finished_reason=\"stop\",model_name=\"m\",task=\"generate-0_0\"}"
                + " 9.0")
        .contains("reason=\"rejected\",task=\"generate-0_0\"} 2.0")
        .contains("reason=\"undecodable\",task=\"decode-0_0\"} 3.0")
        .doesNotContain("resumed");
  }

  @Test
  void shouldTellOfThreadsAndInputButNotOfRestoring() throws IOException {
    // given
    sensor("commit-latency-max", "stream-thread-metrics", Map.of("thread-id", "one"), Double.NaN);
    sensor(
        "rebalance-total",
        "consumer-coordinator-metrics",
        Map.of("client-id", "one-consumer"),
        2.0);
    final Map<String, String> input = Map.of("topic", "prompts", "partition", "3");
    final Map<String, String> read = new LinkedHashMap<>(input);
    read.put("client-id", "one-consumer");
    sensor("records-lag", "consumer-fetch-manager-metrics", read, 11.0);
    final Map<String, String> restored = new LinkedHashMap<>(input);
    restored.put("client-id", "one-restore-consumer");
    sensor("records-lag", "consumer-fetch-manager-metrics", restored, 1_000.0);
    sensor("version", "app-info", Map.of(), "4.3.1");

    // then
    assertThat(scraped())
        .contains("sarathi_commit_latency_max_seconds{model_name=\"m\",thread=\"one\"} 0.0")
        .contains("sarathi_rebalances_total{model_name=\"m\",thread=\"one\"} 2.0")
        .contains(
            "sarathi_input_lag_records{model_name=\"m\",partition=\"3\",topic=\"prompts\"} 11.0")
        .contains("sarathi_streams_running{model_name=\"m\"} 1.0");
  }

  private void generation(
      final String name, final String thread, final String task, final double value) {
    sensor(
        name,
        "stream-generation-metrics",
        Map.of("thread-id", thread, "generation-id", task),
        value);
  }

  private void sensor(
      final String name, final String group, final Map<String, String> tags, final Object value) {
    final MetricName metric = new MetricName(name, group, "", tags);
    sensors.put(
        metric,
        new Metric() {
          @Override
          public MetricName metricName() {
            return metric;
          }

          @Override
          public Object metricValue() {
            return value;
          }
        });
  }

  private String scraped() throws IOException {
    final ByteArrayOutputStream text = new ByteArrayOutputStream();
    PrometheusTextFormatWriter.create()
        .write(text, new StreamsCollector(() -> sensors, () -> true, "m").collect());
    return text.toString(StandardCharsets.UTF_8);
  }
}
