package dev.sarathi.examples;

import dev.sarathi.runtime.GenerationEngine;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Properties;
import java.util.UUID;
import java.util.function.Function;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyTestDriver;

/** The topology of an example without a broker. */
public final class ExampleDriver implements AutoCloseable {
  private static final Duration TURN = Duration.ofMillis(10);

  private final TopologyTestDriver driver;

  public ExampleDriver(
      final Function<GenerationEngine, Topology> topology,
      final GenerationEngine engine,
      final Path state) {
    final Properties settings = ExampleApplication.settings("example-" + UUID.randomUUID(), "none");
    settings.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
    driver = new TopologyTestDriver(topology.apply(engine), settings);
  }

  public TestInputTopic<String, String> input(final String topic) {
    return input(topic, Serdes.String());
  }

  public <V> TestInputTopic<String, V> input(final String topic, final Serde<V> values) {
    return driver.createInputTopic(topic, Serdes.String().serializer(), values.serializer());
  }

  public TestOutputTopic<String, String> output(final String topic) {
    return output(topic, Serdes.String());
  }

  public <V> TestOutputTopic<String, V> output(final String topic, final Serde<V> values) {
    return driver.createOutputTopic(topic, Serdes.String().deserializer(), values.deserializer());
  }

  /** In one turn a request is taken up, in the next it is handed to the engine and answered. */
  public void generate() {
    driver.advanceWallClockTime(TURN);
    driver.advanceWallClockTime(TURN);
  }

  @Override
  public void close() {
    driver.close();
  }
}
