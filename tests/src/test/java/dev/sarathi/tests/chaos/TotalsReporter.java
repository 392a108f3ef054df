package dev.sarathi.tests.chaos;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.metrics.KafkaMetric;
import org.apache.kafka.common.metrics.MetricsReporter;

/**
 * Sums the totals of all processors that an instance ever had, and writes them to a file every
 * second. A processor takes its metrics away when it closes, so their last values are kept. What
 * was counted in the last second before a SIGKILL is lost.
 */
public final class TotalsReporter implements MetricsReporter {
  static final String FILE_CONFIG = "chaos.totals.file";

  private static final String GROUP = "stream-generation-metrics";
  private static final String SUFFIX = "-total";

  private final Map<org.apache.kafka.common.MetricName, KafkaMetric> live =
      new ConcurrentHashMap<>();
  private final Map<String, Double> gone = new ConcurrentHashMap<>();
  private final ScheduledExecutorService writer =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().daemon().name("totals-reporter").factory());
  private Path file;

  @Override
  public void configure(final Map<String, ?> configs) {
    file = Path.of(configs.get(FILE_CONFIG).toString());
    writer.scheduleWithFixedDelay(this::write, 1, 1, TimeUnit.SECONDS);
  }

  @Override
  public void init(final List<KafkaMetric> metrics) {
    metrics.forEach(this::metricChange);
  }

  @Override
  public void metricChange(final KafkaMetric metric) {
    if (metric.metricName().group().equals(GROUP) && metric.metricName().name().endsWith(SUFFIX)) {
      live.put(metric.metricName(), metric);
    }
  }

  @Override
  public void metricRemoval(final KafkaMetric metric) {
    if (live.remove(metric.metricName()) != null) {
      gone.merge(metric.metricName().name(), value(metric), Double::sum);
    }
  }

  private static double value(final KafkaMetric metric) {
    return metric.metricValue() instanceof Number number ? number.doubleValue() : 0;
  }

  private synchronized void write() {
    final Map<String, Double> totals = new ConcurrentHashMap<>(gone);
    live.forEach((name, metric) -> totals.merge(name.name(), value(metric), Double::sum));
    final Properties properties = new Properties();
    totals.forEach(
        (name, value) ->
            properties.setProperty(
                name.substring(0, name.length() - SUFFIX.length()),
                Long.toString(Math.round(value))));
    try {
      final Path written = file.resolveSibling(file.getFileName() + ".part");
      try (var out = Files.newBufferedWriter(written)) {
        properties.store(out, null);
      }
      Files.move(
          written, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    } catch (final IOException e) {
      // The campaign then sums what it was told before.
    }
  }

  @Override
  public void close() {
    writer.shutdown();
    write();
  }
}
