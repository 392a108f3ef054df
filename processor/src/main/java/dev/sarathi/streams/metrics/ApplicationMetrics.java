package dev.sarathi.streams.metrics;

import dev.sarathi.runtime.GenerationEngine;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.time.Duration;
import org.apache.kafka.streams.KafkaStreams;

/**
 * The meters of an application, and what Prometheus scrapes of it.
 *
 * <p>Threading: any thread.
 */
public final class ApplicationMetrics {
  /** The content type of {@link #scrape}. */
  public static final String CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

  private final PrometheusMeterRegistry registry =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final String model;
  private final ServingMetrics serving;

  /**
   * @param tbtTarget a longer gap between two tokens is a stall
   */
  public ApplicationMetrics(final GenerationEngine engine, final Duration tbtTarget) {
    this.model = engine.modelName();
    this.serving = new ServingMetrics(registry, engine, tbtTarget);
  }

  /** Tells of Streams' sensors too, from now on. */
  public void add(final KafkaStreams streams) {
    registry
        .getPrometheusRegistry()
        .register(
            new StreamsCollector(
                streams::metrics, () -> streams.state() == KafkaStreams.State.RUNNING, model));
  }

  /** Those of engine and processor, by the names of {@link Metric#meterName()}. */
  public MeterRegistry registry() {
    return registry;
  }

  /** What engine and processor are observed with. */
  public ServingMetrics serving() {
    return serving;
  }

  /** Everything, in Prometheus' text format. */
  public String scrape() {
    return registry.scrape(CONTENT_TYPE);
  }
}
