package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** {@code sarathi run} in a JVM of its own, with the logging that ships: what an operator sees. */
final class ShippedApplication implements AutoCloseable {
  private static final AtomicInteger STARTS = new AtomicInteger();

  private final Process process;
  private final Path log;

  private ShippedApplication(final Process process, final Path log) {
    this.process = process;
    this.log = log;
  }

  static ShippedApplication start(final Path directory, final Map<String, ?> settings) {
    return start(directory, settings, Map.of(), List.of());
  }

  /**
   * Starts one.
   *
   * @param directory for its configuration, its state and its logs
   * @param settings besides those of every test: the bundled model, one thread, a registry in
   *     memory, the application id {@code stories}
   * @param variables of its environment
   * @param options of its JVM
   */
  static ShippedApplication start(
      final Path directory,
      final Map<String, ?> settings,
      final Map<String, String> variables,
      final List<String> options) {
    final int start = STARTS.incrementAndGet();
    final Path config = directory.resolve("application-%d.properties".formatted(start));
    final Path log = directory.resolve("application-%d.log".formatted(start));
    final Properties properties = new Properties();
    properties.putAll(completed(directory, settings));
    final List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("--add-modules=jdk.incubator.vector");
    command.add("--enable-native-access=ALL-UNNAMED");
    command.add("--sun-misc-unsafe-memory-access=allow");
    command.add("-XX:+UseSerialGC");
    command.add("-Xmx512m");
    command.add("-Dlogback.configurationFile=sarathi-logback.xml");
    command.addAll(options);
    command.addAll(
        List.of(
            "-cp",
            System.getProperty("java.class.path"),
            "dev.sarathi.streams.cli.Sarathi",
            "run",
            "--config",
            config.toString()));
    try {
      Files.createDirectories(directory);
      try (Writer writer = Files.newBufferedWriter(config, StandardCharsets.UTF_8)) {
        properties.store(writer, null);
      }
      final ProcessBuilder builder =
          new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
      builder.environment().putAll(variables);
      return new ShippedApplication(builder.start(), log);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Settings as {@link #start} completes them. */
  static Map<String, String> completed(final Path directory, final Map<String, ?> settings) {
    final Map<String, String> completed = new HashMap<>();
    completed.put("application.id", "stories");
    completed.put("schema.registry.url", "mock://tests");
    completed.put("state.dir", directory.resolve("state").toString());
    completed.put("sarathi.model", Stories.MODEL.toString());
    completed.put("sarathi.cpu.threads", "1");
    settings.forEach((name, value) -> completed.put(name, value.toString()));
    return completed;
  }

  /** All that it has told so far. */
  String logged() {
    try {
      return Files.readString(log);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Waits until it has logged something. */
  void awaitLine(final String part, final Duration limit) throws InterruptedException {
    final long deadline = System.nanoTime() + limit.toNanos();
    while (!logged().contains(part)) {
      assertThat(process.isAlive()).as(this::logged).isTrue();
      assertThat(System.nanoTime()).as(this::logged).isLessThan(deadline);
      Thread.sleep(50);
    }
  }

  /** Waits until it ends by itself; the exit code. */
  int awaitEnd(final Duration limit) throws InterruptedException {
    assertThat(process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS)).as(this::logged).isTrue();
    return process.exitValue();
  }

  /** Its own errors; the lines of Kafka's clients beside them are left out. */
  List<String> errors() {
    return logged()
        .lines()
        .filter(line -> line.startsWith("sarathi: ") || line.contains("the application stops: "))
        .toList();
  }

  /** SIGKILL. */
  void kill() throws InterruptedException {
    process.destroyForcibly().waitFor();
  }

  /** SIGTERM. */
  void stop() throws InterruptedException {
    process.destroy();
    assertThat(process.waitFor(15, TimeUnit.SECONDS)).as(this::logged).isTrue();
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
