package dev.sarathi.tests.chaos;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;

/**
 * A broker, one of the controllers too, in a JVM of its own. It has a listener for the cluster and
 * the campaign, and one for the applications, whose advertised address is a {@link WireProxy}'s.
 */
final class BrokerNode {
  static final int HEAP_MEGABYTES = 320;

  final int id;
  final int clusterPort = Ports.free();
  final int applicationPort = Ports.free();
  final int proxyPort = Ports.free();
  final int controllerPort = Ports.free();
  private final Path directory;
  private Process process;

  BrokerNode(final int id, final Path directory) {
    this.id = id;
    this.directory = directory;
  }

  /** Writes its settings, which need to know of all controllers. */
  void configure(final List<BrokerNode> all, final Map<String, String> settings) {
    final Properties properties = new Properties();
    properties.putAll(settings);
    properties.setProperty("node.id", Integer.toString(id));
    properties.setProperty("process.roles", "broker,controller");
    properties.setProperty("controller.listener.names", "CONTROLLER");
    properties.setProperty("inter.broker.listener.name", "CLUSTER");
    properties.setProperty(
        "listener.security.protocol.map",
        "CLUSTER:PLAINTEXT,APPLICATION:PLAINTEXT,CONTROLLER:PLAINTEXT");
    properties.setProperty(
        "listeners",
        "CLUSTER://localhost:%d,APPLICATION://localhost:%d,CONTROLLER://localhost:%d"
            .formatted(clusterPort, applicationPort, controllerPort));
    properties.setProperty(
        "advertised.listeners",
        "CLUSTER://localhost:%d,APPLICATION://localhost:%d".formatted(clusterPort, proxyPort));
    properties.setProperty(
        "controller.quorum.voters",
        String.join(
            ",",
            all.stream()
                .map(node -> "%d@localhost:%d".formatted(node.id, node.controllerPort))
                .toList()));
    properties.setProperty("log.dirs", directory.resolve("data").toString());
    try {
      Files.createDirectories(directory);
      try (var out = Files.newBufferedWriter(directory.resolve("server.properties"))) {
        properties.store(out, null);
      }
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  void start(final String clusterId) {
    process =
        ChildJvm.start(
            BrokerMain.class,
            HEAP_MEGABYTES,
            List.of(
                "-XX:TieredStopAtLevel=1",
                "-Dlogback.configurationFile=dev/sarathi/streams/broker/logback.xml"),
            List.of(
                directory.resolve("server.properties").toString(),
                directory.resolve("data").toString(),
                clusterId),
            directory.resolve("broker.log"));
  }

  boolean isAlive() {
    return process.isAlive();
  }

  /** SIGKILL. */
  void kill() throws InterruptedException {
    process.destroyForcibly();
    process.waitFor(10, TimeUnit.SECONDS);
  }
}
