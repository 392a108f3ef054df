package dev.sarathi.streams.internal;

import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.metrics.Sensor;
import org.apache.kafka.common.metrics.Sensor.RecordingLevel;
import org.apache.kafka.streams.StreamsMetrics;
import org.apache.kafka.streams.processor.api.ProcessorContext;

/**
 * Rates and totals of one processor, in Streams' own registry: JMX and client telemetry see them as
 * {@code stream-generation-metrics}.
 *
 * <p>Threading: confined to the stream thread, whose name they are tagged with.
 */
final class GenerationMetrics {
  private final StreamsMetrics registry;
  private final String entity;
  private final List<Sensor> sensors = new ArrayList<>();

  /** Requests taken up again with tokens emitted before. */
  final Sensor resumed;

  /** Tokens that were computed again for them: their prompts, and what they had emitted. */
  final Sensor recomputedTokens;

  /** Tokens that came from the engine for an incarnation that was over. */
  final Sensor staleTokens;

  /** Requests dropped since the same one was there before. */
  final Sensor duplicates;

  /** Records that are no valid request. */
  final Sensor rejected;

  /** Requests that ended. */
  final Sensor finished;

  GenerationMetrics(final ProcessorContext<?, ?> context, final StoreNames names) {
    this.registry = context.metrics();
    this.entity = names.node() + "-" + context.taskId();
    this.resumed = sensor("resumed");
    this.recomputedTokens = sensor("recomputed-tokens");
    this.staleTokens = sensor("stale-tokens");
    this.duplicates = sensor("duplicates");
    this.rejected = sensor("rejected");
    this.finished = sensor("finished");
  }

  private Sensor sensor(final String operation) {
    final Sensor sensor =
        registry.addRateTotalSensor("generation", entity, operation, RecordingLevel.INFO);
    sensors.add(sensor);
    return sensor;
  }

  void close() {
    sensors.forEach(registry::removeSensor);
  }
}
