package dev.sarathi.tests.chaos;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An application in a JVM of its own, and its successors under the same name and state directory.
 *
 * <p>Threading: its methods are synchronized; the fleet's supervisor and the nemesis share it.
 */
final class Instance implements AutoCloseable {
  private static final int HEAP_MEGABYTES = 384;
  private static final Pattern RESUMED =
      Pattern.compile("request (\\S+) is resumed at token ([0-9/]+)");

  /** Longer generations for the same work: what is under way when a fault comes is resumed. */
  private static final int PAUSE_MILLIS = 15;

  final String name;
  final StateDisk disk;
  private final Path directory;
  private final Map<String, String> settings;
  private Process process;
  private int starts;

  Instance(final String name, final Path directory, final Map<String, String> settings) {
    this.name = name;
    this.directory = directory;
    this.settings = settings;
    this.disk = new StateDisk(directory.resolve("state"));
  }

  synchronized void start() {
    starts++;
    mend();
    final Map<String, String> all = new HashMap<>(settings);
    all.put("state.dir", disk.directory().toString());
    all.put("client.id", name);
    all.put("metric.reporters", TotalsReporter.class.getName());
    all.put(
        TotalsReporter.FILE_CONFIG,
        directory.resolve("totals-%d.properties".formatted(starts)).toString());
    all.put("producer.interceptor.classes", IncarnationHeader.class.getName());
    if (!"streams".equals(all.get("group.protocol"))) {
      all.put("group.instance.id", name);
    }
    final Properties properties = new Properties();
    properties.putAll(all);
    try (var out = Files.newBufferedWriter(directory.resolve("application.properties"))) {
      properties.store(out, null);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
    process =
        ChildJvm.start(
            InstanceMain.class,
            HEAP_MEGABYTES,
            List.of("--add-modules=jdk.incubator.vector"),
            List.of(
                directory.resolve("application.properties").toString(),
                breakage().toString(),
                Integer.toString(PAUSE_MILLIS)),
            log());
  }

  synchronized boolean isAlive() {
    return process != null && process.isAlive();
  }

  synchronized long pid() {
    return process.pid();
  }

  synchronized int starts() {
    return starts;
  }

  /** SIGKILL. */
  synchronized void kill() {
    if (process != null) {
      process.destroyForcibly();
      awaitEnd(10);
    }
  }

  /** SIGTERM, and SIGKILL to one that does not heed it. */
  synchronized void terminate() {
    // Not Process.destroy(), which closes the child's standard input and with it the child.
    process.toHandle().destroy();
    if (!awaitEnd(20)) {
      kill();
    }
  }

  private boolean awaitEnd(final long seconds) {
    try {
      return process.waitFor(seconds, TimeUnit.SECONDS);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  synchronized void stop() {
    ChildJvm.signal(process, "STOP");
  }

  synchronized void resume() {
    ChildJvm.signal(process, "CONT");
  }

  /** Makes the engine break down in its next iteration. */
  void breakEngine() {
    try {
      Files.writeString(breakage(), "");
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** An engine that starts from now on works. */
  void mend() {
    try {
      Files.deleteIfExists(breakage());
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Path breakage() {
    return directory.resolve("break-the-engine");
  }

  Path log() {
    return directory.resolve("application.log");
  }

  /** The totals of the generation metrics of all processes that there were. */
  Map<String, Long> totals() {
    final Map<String, Long> sums = new HashMap<>();
    for (int start = 1; start <= starts(); start++) {
      final Properties totals = new Properties();
      try (var in =
          Files.newBufferedReader(directory.resolve("totals-%d.properties".formatted(start)))) {
        totals.load(in);
      } catch (final IOException e) {
        continue; // killed before it had anything to tell
      }
      totals
          .stringPropertyNames()
          .forEach(total -> sums.merge(total, Long.valueOf(totals.getProperty(total)), Long::sum));
    }
    return sums;
  }

  /** How many times the log tells of a generation that went on at an index above 0. */
  long resumptions() {
    try (var lines = Files.lines(log())) {
      return lines
          .map(RESUMED::matcher)
          .filter(Matcher::find)
          .filter(found -> found.group(2).matches(".*[1-9].*"))
          .count();
    } catch (final IOException | UncheckedIOException e) {
      return 0;
    }
  }

  @Override
  public void close() {
    kill();
    disk.close();
  }
}
