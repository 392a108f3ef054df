package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A schema registry: Apicurio in a JVM of its own, in memory, with the interface of Confluent's.
 *
 * <p>Its archive has 159 MB, so only a test that runs it gets it from Maven's repository, and from
 * Central into that; it is unpacked once into this module's build directory.
 */
final class RegistryProcess implements AutoCloseable {
  private static final String VERSION = "3.3.3";
  private static final Duration DOWNLOAD_LIMIT = Duration.ofMinutes(10);
  private static final Duration START_LIMIT = Duration.ofMinutes(2);
  private static final Path UNPACKED =
      Path.of("target", "apicurio-registry-" + VERSION).toAbsolutePath();

  private final Process process;
  private final Path logFile;
  private final int port;
  private final Thread shutdownHook;

  private RegistryProcess(final Process process, final Path logFile, final int port) {
    this.process = process;
    this.logFile = logFile;
    this.port = port;
    this.shutdownHook = new Thread(process::destroyForcibly);
    Runtime.getRuntime().addShutdownHook(shutdownHook);
  }

  /**
   * Starts a registry without schemas and waits until it answers.
   *
   * @param directory where its log is written
   */
  static RegistryProcess start(final Path directory) throws Exception {
    unpack();
    Files.createDirectories(directory);
    final Path logFile = directory.resolve("registry.log");
    final int port = freePort();
    final ProcessBuilder builder =
        new ProcessBuilder(
                java(),
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xmx256m",
                "-jar",
                "quarkus-run.jar")
            .directory(UNPACKED.toFile())
            .redirectErrorStream(true)
            .redirectOutput(logFile.toFile());
    builder.environment().put("QUARKUS_HTTP_HOST", "localhost");
    builder.environment().put("QUARKUS_HTTP_PORT", Integer.toString(port));
    builder.environment().put("QUARKUS_MANAGEMENT_HOST", "localhost");
    builder.environment().put("QUARKUS_MANAGEMENT_PORT", Integer.toString(freePort()));
    final RegistryProcess registry = new RegistryProcess(builder.start(), logFile, port);
    try {
      registry.awaitAnswer();
    } catch (final Exception | AssertionError e) {
      registry.close();
      throw e;
    }
    return registry;
  }

  /** For {@code schema.registry.url}. */
  String url() {
    return "http://localhost:" + port + "/apis/ccompat/v7";
  }

  /** What the registry answers to a GET, such as {@code /subjects}. */
  String get(final String path) throws IOException, InterruptedException {
    try (HttpClient http = HttpClient.newHttpClient()) {
      final HttpResponse<String> response =
          http.send(
              HttpRequest.newBuilder(URI.create(url() + path))
                  .timeout(Duration.ofSeconds(30))
                  .build(),
              HttpResponse.BodyHandlers.ofString());
      assertThat(response.statusCode()).as("%s: %s", path, response.body()).isEqualTo(200);
      return response.body();
    }
  }

  private void awaitAnswer() throws InterruptedException {
    final long deadline = System.nanoTime() + START_LIMIT.toNanos();
    while (true) {
      assertThat(process.isAlive()).as(this::log).isTrue();
      assertThat(System.nanoTime()).as(this::log).isLessThan(deadline);
      try {
        get("/subjects");
        return;
      } catch (final IOException | AssertionError e) {
        Thread.sleep(100);
      }
    }
  }

  private String log() {
    try {
      return Files.readString(logFile);
    } catch (final IOException e) {
      return e.toString();
    }
  }

  @Override
  public void close() {
    process.destroyForcibly();
    try {
      Runtime.getRuntime().removeShutdownHook(shutdownHook);
    } catch (final IllegalStateException e) {
      // This JVM is ending, and the hook does the same once more.
    }
  }

  // ---- the archive

  private static void unpack() throws IOException, InterruptedException {
    if (Files.exists(UNPACKED)) {
      return;
    }
    final Path archive =
        repository()
            .resolve(
                "io/apicurio/apicurio-registry-app/%s/apicurio-registry-app-%s-all.tar.gz"
                    .formatted(VERSION, VERSION));
    if (!Files.exists(archive)) {
      run(
          Path.of("..", "mvnw").toString(),
          "--batch-mode",
          "--no-transfer-progress",
          "--file",
          Path.of("..", "pom.xml").toString(),
          "--non-recursive",
          "-Dmaven.repo.local=" + repository(),
          "dependency:get",
          "-Dtransitive=false",
          "-Dartifact=io.apicurio:apicurio-registry-app:" + VERSION + ":tar.gz:all");
    }
    final Path partial = Files.createTempDirectory(UNPACKED.getParent(), "apicurio-");
    run("tar", "-xzf", archive.toString(), "-C", partial.toString());
    Files.move(partial, UNPACKED, StandardCopyOption.ATOMIC_MOVE);
  }

  /** Surefire says which. */
  private static Path repository() {
    return Path.of(
        System.getProperty(
            "localRepository",
            Path.of(System.getProperty("user.home"), ".m2", "repository").toString()));
  }

  private static void run(final String... command) throws IOException, InterruptedException {
    final File output = File.createTempFile("registry", ".log");
    try {
      final ProcessBuilder builder =
          new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output);
      builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
      final Process process = builder.start();
      final boolean ended = process.waitFor(DOWNLOAD_LIMIT.toSeconds(), TimeUnit.SECONDS);
      process.destroyForcibly();
      assertThat(ended && process.exitValue() == 0)
          .as(() -> List.of(command) + " failed: " + read(output))
          .isTrue();
    } finally {
      Files.deleteIfExists(output.toPath());
    }
  }

  private static String read(final File file) {
    try {
      return Files.readString(file.toPath());
    } catch (final IOException e) {
      return e.toString();
    }
  }

  private static String java() {
    return Path.of(System.getProperty("java.home"), "bin", "java").toString();
  }

  private static int freePort() throws IOException {
    try (ServerSocket free = new ServerSocket(0)) {
      return free.getLocalPort();
    }
  }
}
