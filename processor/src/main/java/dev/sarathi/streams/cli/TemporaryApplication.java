package dev.sarathi.streams.cli;

import dev.sarathi.streams.SarathiConfig;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.streams.StreamsConfig;

/**
 * A broker in a JVM of its own, the application in this one, and a directory for all their files,
 * one of which takes what this process writes to the standard error stream meanwhile.
 *
 * <p>Threading: one thread owns it. When the process ends first, a shutdown hook ends the broker
 * and deletes the directory; it does not wait for the application, whose broker may be gone.
 */
final class TemporaryApplication implements AutoCloseable {
  private static final int BROKER_HEAP_MEGABYTES = 192;
  private static final long START_LIMIT_NANOS = 30_000_000_000L;
  private static final int DELETE_ATTEMPTS = 200;
  private static final int LOG_TAIL_LINES = 20;

  private final Path directory;
  private final boolean keep;
  private final ErrorFile log;
  private final Thread shutdownHook = new Thread(this::abandon, "demo-shutdown");
  // Read by the shutdown hook.
  private volatile Optional<DevelopmentBroker> broker = Optional.empty();
  private Optional<Application> application = Optional.empty();
  private volatile boolean stopped;

  /**
   * Makes the directory; nothing runs yet.
   *
   * @param keep whether the directory stays
   */
  TemporaryApplication(final boolean keep) {
    this(temporaryDirectory(), keep);
  }

  /** In a directory that stays, where an earlier one's broker and application go on. */
  TemporaryApplication(final Path directory) {
    this(directory, true);
  }

  private TemporaryApplication(final Path directory, final boolean keep) {
    this.directory = directory;
    this.keep = keep;
    log = ErrorFile.open(logFile());
    Runtime.getRuntime().addShutdownHook(shutdownHook);
  }

  private static Path temporaryDirectory() {
    try {
      return Files.createTempDirectory("sarathi-demo-");
    } catch (IOException e) {
      throw new UncheckedIOException("there is no place for temporary files", e);
    }
  }

  Path directory() {
    return directory;
  }

  private Path logFile() {
    return directory.resolve("application.log");
  }

  void startBroker() {
    broker =
        Optional.of(
            DevelopmentBroker.start(
                DevelopmentBroker.Options.in(directory.resolve("broker"))
                    .withHeapMegabytes(BROKER_HEAP_MEGABYTES)
                    // Who goes on after weeks finds everything.
                    .withSetting("log.retention.ms", "-1")
                    .withSetting("offsets.retention.minutes", "5000000")));
  }

  /** Settings for clients of the broker and of the application's schema registry. */
  Map<String, Object> client() {
    return Map.of(
        CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG,
        broker.orElseThrow().bootstrapServers(),
        ClientOptions.SCHEMA_REGISTRY,
        "mock://demo");
  }

  /** Starts the application and waits until it takes prompts. */
  void startApplication(final Map<String, ?> settings) throws InterruptedException {
    final Map<String, Object> properties = new HashMap<>(client());
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, "demo");
    properties.put(StreamsConfig.STATE_DIR_CONFIG, directory.resolve("state").toString());
    properties.put(SarathiConfig.PRESET_CONFIG, "latency");
    properties.put(SarathiConfig.JOBS_TOPIC_CONFIG, "");
    properties.putAll(settings);
    final Application started = Application.start(properties);
    application = Optional.of(started);
    Thread.ofVirtual().start(() -> noteStop(started));
    final long deadline = System.nanoTime() + START_LIMIT_NANOS;
    while (!started.isRunning()) {
      if (System.nanoTime() > deadline) {
        throw new IllegalStateException("the application was not ready within 30 s");
      }
      Thread.sleep(20);
    }
  }

  /** Where the application answers HTTP, if it does. */
  Optional<String> httpAddress() {
    return application.flatMap(Application::httpAddress);
  }

  private void noteStop(final Application started) {
    try {
      started.awaitStop();
      stopped = true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * @throws IllegalStateException if the application has stopped by itself
   */
  void check() {
    if (stopped) {
      throw new IllegalStateException("the application has stopped; its log is " + logFile());
    }
  }

  /** The end of what the application and its clients have logged. */
  List<String> logTail() {
    try (Stream<String> lines = Files.lines(logFile())) {
      final List<String> all = lines.toList();
      return all.subList(Math.max(0, all.size() - LOG_TAIL_LINES), all.size());
    } catch (IOException | UncheckedIOException e) {
      return List.of();
    }
  }

  @Override
  public void close() {
    try {
      application.ifPresent(Application::close);
    } finally {
      broker.ifPresent(DevelopmentBroker::close);
      log.close();
      delete();
      removeHook();
    }
  }

  private void removeHook() {
    try {
      Runtime.getRuntime().removeShutdownHook(shutdownHook);
    } catch (IllegalStateException e) {
      // The process is ending, and the hook finds nothing left to do.
    }
  }

  private void abandon() {
    broker.ifPresent(DevelopmentBroker::kill);
    delete();
  }

  // Threads that are still at work may add a file to a directory that was just found empty.
  private void delete() {
    for (int attempt = 0; !keep && Files.exists(directory); attempt++) {
      try (Stream<Path> files = Files.walk(directory)) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.deleteIfExists(file);
        }
      } catch (IOException | UncheckedIOException e) {
        if (attempt == DELETE_ATTEMPTS) {
          throw new UncheckedIOException(
              directory + " cannot be deleted",
              e instanceof IOException io ? io : new IOException(e));
        }
        pause();
      }
    }
  }

  private static void pause() {
    try {
      Thread.sleep(25);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
