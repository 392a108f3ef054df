package dev.sarathi.streams.internal;

import dev.sarathi.runtime.FinishReason;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.metrics.Sensor;
import org.apache.kafka.common.metrics.Sensor.RecordingLevel;
import org.apache.kafka.common.metrics.stats.CumulativeSum;
import org.apache.kafka.common.metrics.stats.Rate;
import org.apache.kafka.common.metrics.stats.Value;
import org.apache.kafka.common.metrics.stats.WindowedSum;
import org.apache.kafka.streams.StreamsMetrics;
import org.apache.kafka.streams.processor.api.ProcessorContext;

/**
 * Rates and totals of one processor, in Streams' own registry: JMX and client telemetry see them as
 * {@code stream-generation-metrics}.
 *
 * <p>Threading: confined to the stream thread, whose name they are tagged with.
 */
final class GenerationMetrics {
  private static final String GROUP = "stream-generation-metrics";

  private final StreamsMetrics registry;
  private final String entity;
  private final List<Sensor> sensors = new ArrayList<>();

  /** Requests taken up again with tokens emitted before. */
  final Sensor resumed;

  /** Tokens that were computed again for them: their prompts, and what they had emitted. */
  final Sensor recomputedTokens;

  /** Prompt tokens whose KV came from the prefix cache. */
  final Sensor cachedTokens;

  /** Tokens that came from the engine for an incarnation that was over. */
  final Sensor staleTokens;

  /** Requests dropped since the same one was there before. */
  final Sensor duplicates;

  /** Records that are no valid request. */
  final Sensor rejected;

  private final Sensor finished;
  private final Map<FinishReason, Sensor> finishedFor = new EnumMap<>(FinishReason.class);

  /** How many requests wait in the store, outside the window. */
  final Sensor waiting;

  /** How long the first of them has been waiting, in milliseconds. */
  final Sensor oldestWaiting;

  GenerationMetrics(final ProcessorContext<?, ?> context, final StoreNames names) {
    this.registry = context.metrics();
    this.entity = names.node() + "-" + context.taskId();
    this.resumed = sensor("resumed");
    this.recomputedTokens = amounts("recomputed-tokens");
    this.cachedTokens = amounts("cached-tokens");
    this.staleTokens = amounts("stale-tokens");
    this.duplicates = sensor("duplicates");
    this.rejected = sensor("rejected");
    this.finished = sensor("finished");
    for (final FinishReason reason : FinishReason.values()) {
      finishedFor.put(reason, sensor("finished-" + reason.name().toLowerCase(Locale.ROOT)));
    }
    this.waiting = level("waiting", "requests that wait in the store");
    this.oldestWaiting =
        level("waiting-oldest-ms", "milliseconds that the first of them has been waiting");
  }

  /** A request ended. */
  void finished(final FinishReason reason) {
    finished.record();
    finishedFor.get(reason).record();
  }

  private Sensor sensor(final String operation) {
    final Sensor sensor =
        registry.addRateTotalSensor("generation", entity, operation, RecordingLevel.INFO);
    sensors.add(sensor);
    return sensor;
  }

  /** A sensor of what is recorded; those that Streams makes count how often. */
  private Sensor amounts(final String operation) {
    final Sensor sensor = own(operation);
    sensor.add(
        name(operation + "-rate", operation + " per second"),
        new Rate(TimeUnit.SECONDS, new WindowedSum()));
    sensor.add(name(operation + "-total", "the total of " + operation), new CumulativeSum());
    return sensor;
  }

  /** A sensor of which the last value counts. */
  private Sensor level(final String name, final String description) {
    final Sensor sensor = own(name);
    sensor.add(name(name, description), new Value());
    return sensor;
  }

  private Sensor own(final String operation) {
    final Sensor sensor =
        registry.addSensor(
            Thread.currentThread().getName() + "-" + entity + "-" + operation, RecordingLevel.INFO);
    sensors.add(sensor);
    return sensor;
  }

  private MetricName name(final String name, final String description) {
    // JMX takes the order of tags into a bean's name: in another than Streams' own, ours would be a
    // second bean of equal name, and whichever is registered last hides the other's attributes.
    final Map<String, String> tags = new LinkedHashMap<>();
    tags.put("thread-id", Thread.currentThread().getName());
    tags.put("generation-id", entity);
    return new MetricName(name, GROUP, description, tags);
  }

  void close() {
    sensors.forEach(registry::removeSensor);
  }
}
