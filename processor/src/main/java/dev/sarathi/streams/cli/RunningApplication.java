package dev.sarathi.streams.cli;

import dev.sarathi.streams.SarathiConfig;
import java.io.IOException;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
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

/** The options that name an application which runs elsewhere: option before file before default. */
final class RunningApplication {
  @Option(
      names = {"--bootstrap-server", "--bootstrap"},
      paramLabel = "HOST:PORT",
      description = "Kafka brokers of a running application.")
  private Optional<String> bootstrapServer = Optional.empty();

  @Option(
      names = "--schema-registry",
      paramLabel = "URL",
      description = "Its schema registry (default: mock://sarathi, for development).")
  private Optional<String> schemaRegistry = Optional.empty();

  @Option(
      names = "--application",
      paramLabel = "FILE",
      description = "The properties it runs with: brokers, registry, security, topics.")
  private Optional<Path> application = Optional.empty();

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  /** Whether any of them is given. */
  boolean isGiven() {
    return bootstrapServer.isPresent() || application.isPresent();
  }

  /** The clients' configuration, of which each client takes what it knows. */
  Map<String, Object> client() {
    final Map<String, Object> properties = new HashMap<>();
    properties.put(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG, "localhost:9092");
    properties.put(ClientOptions.SCHEMA_REGISTRY, "mock://sarathi");
    file()
        .forEach(
            (name, value) -> {
              if (!name.startsWith("sarathi.")) {
                properties.put(name, value);
              }
            });
    PropertiesFile.provide(properties);
    // Of Streams, and another thing to a client.
    properties.remove(CommonClientConfigs.GROUP_INSTANCE_ID_CONFIG);
    bootstrapServer.ifPresent(
        address -> properties.put(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG, address));
    schemaRegistry.ifPresent(url -> properties.put(ClientOptions.SCHEMA_REGISTRY, url));
    return properties;
  }

  /**
   * @param setting of {@link SarathiConfig} whose value is a topic
   */
  String topic(final String setting) {
    final String topic = setting(setting);
    if (topic.isEmpty()) {
      throw new ParameterException(
          command.commandLine(), setting + " is empty: the application writes no such records");
    }
    return topic;
  }

  /** The value of one of its settings. */
  String setting(final String name) {
    return file()
        .getOrDefault(name, String.valueOf(SarathiConfig.definition().defaultValues().get(name)));
  }

  private Map<String, String> file() {
    final Map<String, String> read = new HashMap<>();
    application.ifPresent(
        path -> {
          final Properties properties = new Properties();
          try (Reader in = Files.newBufferedReader(path, StandardCharsets.UTF_8)) {
            properties.load(in);
          } catch (IOException | IllegalArgumentException e) {
            throw new ParameterException(
                command.commandLine(), "--application: %s cannot be read: %s".formatted(path, e));
          }
          properties
              .stringPropertyNames()
              .forEach(name -> read.put(name, properties.getProperty(name).trim()));
          read.putAll(EnvironmentSettings.of(System.getenv()));
        });
    return read;
  }
}
