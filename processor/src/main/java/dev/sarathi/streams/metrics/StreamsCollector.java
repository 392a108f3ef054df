package dev.sarathi.streams.metrics;

import io.prometheus.metrics.model.registry.MultiCollector;
import io.prometheus.metrics.model.snapshots.CounterSnapshot;
import io.prometheus.metrics.model.snapshots.GaugeSnapshot;
import io.prometheus.metrics.model.snapshots.Labels;
import io.prometheus.metrics.model.snapshots.MetricSnapshot;
import io.prometheus.metrics.model.snapshots.MetricSnapshots;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.apache.kafka.common.MetricName;

/**
 * What Prometheus is told of Streams' own sensors: read from Streams' registry at each scrape, so
 * that both always say the same, and a task that moves away takes its series with it.
 *
 * <p>Threading: any thread.
 */
final class StreamsCollector implements MultiCollector {
  private static final String GENERATION = "stream-generation-metrics";
  private static final String DECODE = "stream-decode-metrics";
  private static final String FINISHED = "finished-";
  private static final String TOTAL = "-total";
  private static final double MILLIS = 1e3;

  private static final Map<String, Metric> OF_SENSOR =
      Arrays.stream(Metric.values())
          .filter(metric -> metric.sensor().isPresent())
          .collect(Collectors.toMap(metric -> metric.sensor().orElseThrow(), metric -> metric));

  private final Supplier<Map<MetricName, ? extends org.apache.kafka.common.Metric>> sensors;
  private final BooleanSupplier running;
  private final String model;

  /**
   * @param sensors of Kafka Streams and its clients
   * @param running whether every task is assigned and restored
   */
  StreamsCollector(
      final Supplier<Map<MetricName, ? extends org.apache.kafka.common.Metric>> sensors,
      final BooleanSupplier running,
      final String model) {
    this.sensors = sensors;
    this.running = running;
    this.model = model;
  }

  @Override
  public MetricSnapshots collect() {
    final Series series = new Series();
    series.add(Metric.STREAMS_RUNNING, running.getAsBoolean() ? 1 : 0);
    sensors
        .get()
        .forEach(
            (name, sensor) -> {
              if (sensor.metricValue() instanceof Double value) {
                // Streams has no average of nothing.
                collect(name, value.isNaN() ? 0 : value, series);
              }
            });
    return series.snapshots();
  }

  private static void collect(final MetricName name, final double value, final Series series) {
    switch (name.group()) {
      case GENERATION -> ofGeneration(name, value, series);
      case DECODE -> {
        if (name.name().equals("undecodable-total")) {
          series.add(Metric.DEAD_LETTERS, value, "undecodable", name.tags().get("decode-id"));
        }
      }
      case "stream-thread-metrics" -> {
        final String thread = name.tags().get("thread-id");
        switch (name.name()) {
          case "commit-latency-avg" ->
              series.add(Metric.COMMIT_LATENCY_AVG, value / MILLIS, thread);
          case "commit-latency-max" ->
              series.add(Metric.COMMIT_LATENCY_MAX, value / MILLIS, thread);
          default -> {}
        }
      }
      case "consumer-coordinator-metrics" -> {
        if (name.name().equals("rebalance-total")) {
          final String client = name.tags().get("client-id");
          series.add(Metric.REBALANCES, value, client.replaceAll("-consumer$", ""));
        }
      }
      case "consumer-fetch-manager-metrics" -> {
        if (name.name().equals("records-lag")
            && !name.tags().get("client-id").endsWith("-restore-consumer")) {
          series.add(
              Metric.INPUT_LAG, value, name.tags().get("topic"), name.tags().get("partition"));
        }
      }
      default -> {}
    }
  }

  private static void ofGeneration(final MetricName name, final double value, final Series series) {
    final String task = name.tags().get("generation-id");
    final Metric metric = OF_SENSOR.get(name.name());
    if (metric != null) {
      series.add(metric, metric.unit().equals("seconds") ? value / MILLIS : value, task);
    } else if (name.name().equals("rejected-total")) {
      series.add(Metric.DEAD_LETTERS, value, "rejected", task);
    } else if (name.name().startsWith(FINISHED) && name.name().endsWith(TOTAL)) {
      final String reason = name.name().replace(TOTAL, "");
      if (reason.length() > FINISHED.length()) {
        series.add(Metric.REQUEST_SUCCESS, value, reason.substring(FINISHED.length()), task);
      }
    }
  }

  /** Values by metric and labels. */
  private final class Series {
    private final Map<Metric, Map<Labels, Double>> values = new EnumMap<>(Metric.class);

    /** A task can have sensors of two threads for a moment, while it goes from one to another. */
    private void add(final Metric metric, final double value, final String... labels) {
      final String[] names = metric.labels().toArray(String[]::new);
      values
          .computeIfAbsent(metric, m -> new TreeMap<>())
          .merge(
              Labels.of(names, labels).add(ServingMetrics.MODEL_NAME, model), value, Double::sum);
    }

    private MetricSnapshots snapshots() {
      return new MetricSnapshots(
          values.entrySet().stream().map(e -> snapshot(e.getKey(), e.getValue())).toList());
    }

    private static MetricSnapshot snapshot(final Metric metric, final Map<Labels, Double> values) {
      if (metric.type() == Metric.Type.COUNTER) {
        final CounterSnapshot.Builder counter =
            CounterSnapshot.builder()
                .name(metric.prometheusName().replaceAll("_total$", ""))
                .help(metric.help());
        values.forEach(
            (labels, value) ->
                counter.dataPoint(
                    CounterSnapshot.CounterDataPointSnapshot.builder()
                        .labels(labels)
                        .value(value)
                        .build()));
        return counter.build();
      }
      final GaugeSnapshot.Builder gauge =
          GaugeSnapshot.builder().name(metric.prometheusName()).help(metric.help());
      values.forEach(
          (labels, value) ->
              gauge.dataPoint(
                  GaugeSnapshot.GaugeDataPointSnapshot.builder()
                      .labels(labels)
                      .value(value)
                      .build()));
      return gauge.build();
    }
  }
}
