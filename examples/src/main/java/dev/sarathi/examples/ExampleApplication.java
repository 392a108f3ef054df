package dev.sarathi.examples;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.streams.StoreMemory;
import java.nio.file.Path;
import java.util.Properties;
import java.util.function.Function;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/** What is around the topology of every example: an engine, settings, and an orderly end. */
public final class ExampleApplication {
  private ExampleApplication() {}

  /**
   * Runs until the process is stopped.
   *
   * @param name the application's id
   * @param arguments the brokers, {@code localhost:9092} if there are none, and the folder of a
   *     model, {@code models/storyteller} if there is none
   */
  public static void run(
      final String name,
      final Function<GenerationEngine, Topology> topology,
      final String... arguments) {
    final String brokers = arguments.length > 0 ? arguments[0] : "localhost:9092";
    final Path model = Path.of(arguments.length > 1 ? arguments[1] : "models/storyteller");
    final GenerationEngine engine = GenerationEngine.start(EngineConfig.of(model));
    final KafkaStreams streams = new KafkaStreams(topology.apply(engine), settings(name, brokers));
    // What failed is taken again from the last commit; on a broken engine it would fail again.
    streams.setUncaughtExceptionHandler(
        failure ->
            engine.isHealthy()
                ? StreamThreadExceptionResponse.REPLACE_THREAD
                : StreamThreadExceptionResponse.SHUTDOWN_CLIENT);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  streams.close();
                  engine.close();
                }));
    streams.start();
  }

  /** The settings of Kafka Streams. */
  public static Properties settings(final String name, final String brokers) {
    final Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, name);
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
    // A generation refuses anything weaker.
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    // Results leave at most this much later than the engine has them.
    settings.put(StreamsConfig.POLL_MS_CONFIG, 10);
    settings.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, StoreMemory.class);
    return settings;
  }
}
