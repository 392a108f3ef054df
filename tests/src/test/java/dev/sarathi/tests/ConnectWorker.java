package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.Writer;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/**
 * A distributed Connect worker in a JVM of its own, with nothing of this project but the plugin's
 * zip. Exactly-once sources are on.
 */
final class ConnectWorker implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration LIMIT = Duration.ofSeconds(90);

  /** Where on the class path the plugin's own classes are, which the worker must not have. */
  private static final List<String> PLUGIN =
      List.of(
          "/schemas/",
          "/connectors/",
          "/processor/",
          "/gpu-runtime/",
          "/tests/",
          "/io/confluent/",
          "/org/apache/avro/");

  private final Path directory;
  private final String bootstrapServers;
  private final String registry;
  private final HttpClient http = HttpClient.newHttpClient();
  private Process process;
  private int port;

  private ConnectWorker(
      final Path directory, final String bootstrapServers, final String registry) {
    this.directory = directory;
    this.bootstrapServers = bootstrapServers;
    this.registry = registry;
  }

  /**
   * @param registry the schema registry's URL
   */
  static ConnectWorker start(
      final Path directory, final String bootstrapServers, final String registry) throws Exception {
    final ConnectWorker worker = new ConnectWorker(directory, bootstrapServers, registry);
    Files.createDirectories(directory);
    unzip(pluginZip(), directory.resolve("plugins"));
    worker.run();
    return worker;
  }

  private static Path pluginZip() throws IOException {
    try (Stream<Path> built = Files.list(Path.of("../connectors/target"))) {
      return built
          .filter(file -> file.getFileName().toString().matches("sarathi-connect-.*\\.zip"))
          .findFirst()
          .orElseThrow(
              () -> new AssertionError("no plugin zip in connectors/target; run Maven's package"));
    }
  }

  private static void unzip(final Path zip, final Path target) throws IOException {
    try (InputStream file = Files.newInputStream(zip);
        ZipInputStream in = new ZipInputStream(file)) {
      for (ZipEntry entry = in.getNextEntry(); entry != null; entry = in.getNextEntry()) {
        final Path path = target.resolve(entry.getName());
        if (entry.isDirectory()) {
          Files.createDirectories(path);
        } else {
          Files.createDirectories(path.getParent());
          Files.copy(in, path);
        }
      }
    }
  }

  private void run() throws Exception {
    try (ServerSocket free = new ServerSocket(0)) {
      port = free.getLocalPort();
    }
    final Properties properties = new Properties();
    properties.putAll(
        Map.ofEntries(
            Map.entry("bootstrap.servers", bootstrapServers),
            Map.entry("group.id", "connect"),
            Map.entry("listeners", "http://localhost:" + port),
            Map.entry("plugin.path", directory.resolve("plugins").toString()),
            Map.entry("plugin.discovery", "service_load"),
            Map.entry("exactly.once.source.support", "enabled"),
            Map.entry("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
            Map.entry("value.converter", "dev.sarathi.connect.ContractConverter"),
            Map.entry("value.converter.schema.registry.url", registry),
            Map.entry("consumer.isolation.level", "read_committed"),
            Map.entry("offset.flush.interval.ms", "2000"),
            // So that the worker's successor need not wait for it.
            Map.entry("scheduled.rebalance.max.delay.ms", "0"),
            Map.entry("session.timeout.ms", "6000"),
            Map.entry("heartbeat.interval.ms", "1000"),
            Map.entry("consumer.session.timeout.ms", "6000"),
            Map.entry("consumer.heartbeat.interval.ms", "1000")));
    for (final String topic : List.of("config", "offset", "status")) {
      properties.put(topic + ".storage.topic", "connect-" + topic);
      properties.put(topic + ".storage.replication.factor", "1");
    }
    properties.put("offset.storage.partitions", "1");
    properties.put("status.storage.partitions", "1");
    final Path file = directory.resolve("worker.properties");
    try (Writer writer = Files.newBufferedWriter(file)) {
      properties.store(writer, null);
    }
    process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xmx512m",
                "-Dlogback.configurationFile=src/test/resources/dev/sarathi/tests/connect-logback.xml",
                "-cp",
                classPath(),
                "org.apache.kafka.connect.cli.ConnectDistributed",
                file.toString())
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.appendTo(logFile().toFile()))
            .start();
    awaitAnswer();
  }

  private static String classPath() {
    return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
        .filter(entry -> PLUGIN.stream().noneMatch((entry + "/")::contains))
        .collect(Collectors.joining(File.pathSeparator));
  }

  Path logFile() {
    return directory.resolve("worker.log");
  }

  /** Makes the connector, or changes its settings. */
  void configure(final String connector, final Map<String, String> config) throws Exception {
    final HttpResponse<String> response =
        http.send(
            request("/connectors/" + connector + "/config")
                .header("Content-Type", "application/json")
                .PUT(HttpRequest.BodyPublishers.ofString(JSON.writeValueAsString(config)))
                .build(),
            HttpResponse.BodyHandlers.ofString());
    assertThat(response.statusCode()).as(response.body()).isIn(200, 201);
  }

  JsonNode get(final String path) throws Exception {
    return JSON.readTree(
        http.send(request(path).build(), HttpResponse.BodyHandlers.ofString()).body());
  }

  /** Kills the worker with SIGKILL, and starts another. */
  void killAndRestart() throws Exception {
    process.destroyForcibly().waitFor();
    run();
  }

  private HttpRequest.Builder request(final String path) {
    return HttpRequest.newBuilder(URI.create("http://localhost:" + port + path))
        .timeout(Duration.ofSeconds(60));
  }

  private void awaitAnswer() throws Exception {
    final long deadline = System.nanoTime() + LIMIT.toNanos();
    while (true) {
      assertThat(process.isAlive()).as(() -> log()).isTrue();
      assertThat(System.nanoTime()).as(() -> log()).isLessThan(deadline);
      try {
        get("/connectors");
        return;
      } catch (final IOException e) {
        Thread.sleep(100);
      }
    }
  }

  String log() {
    try {
      return Files.readString(logFile());
    } catch (final IOException e) {
      return e.toString();
    }
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
