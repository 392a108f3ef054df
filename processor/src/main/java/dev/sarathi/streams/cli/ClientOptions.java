package dev.sarathi.streams.cli;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import org.apache.kafka.clients.CommonClientConfigs;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The options of every command that talks to Kafka: option, environment, file, default. */
final class ClientOptions {

  static final String SCHEMA_REGISTRY = "schema.registry.url";

  @Option(
      names = "--bootstrap-server",
      paramLabel = "HOST:PORT",
      description = "Kafka brokers to connect to (default: localhost:9092).")
  private Optional<String> bootstrapServer = Optional.empty();

  @Option(
      names = "--schema-registry",
      paramLabel = "URL",
      description =
          "The schema registry (default: mock://sarathi, a stand-in for development that every"
              + " process keeps in its own memory).")
  private Optional<String> schemaRegistry = Optional.empty();

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = "Properties for the Kafka and schema registry clients, such as security.")
  private Optional<Path> config = Optional.empty();

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  /** The clients' configuration, of which each client takes what it knows. */
  Map<String, Object> properties() {
    final Map<String, Object> properties = new HashMap<>();
    properties.put(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG, "localhost:9092");
    properties.put(SCHEMA_REGISTRY, "mock://sarathi");
    config.ifPresent(file -> properties.putAll(read(file)));
    PropertiesFile.override(properties);
    // Of Streams, and another thing to a client.
    properties.remove(CommonClientConfigs.GROUP_INSTANCE_ID_CONFIG);
    bootstrapServer.ifPresent(
        address -> properties.put(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG, address));
    schemaRegistry.ifPresent(url -> properties.put(SCHEMA_REGISTRY, url));
    return properties;
  }

  private Map<String, String> read(final Path file) {
    final Properties properties = new Properties();
    try (Reader in = Files.newBufferedReader(file)) {
      properties.load(in);
    } catch (IOException | IllegalArgumentException e) {
      throw new ParameterException(
          command.commandLine(), "--config: %s cannot be read: %s".formatted(file, e));
    }
    final Map<String, String> read = new HashMap<>();
    properties.stringPropertyNames().forEach(name -> read.put(name, properties.getProperty(name)));
    return read;
  }
}
