package dev.sarathi.streams.application;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.kafka.streams.StreamsConfig;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What Kafka Streams keeps of an application on this machine. Under exactly-once it cannot use the
 * stores of a process that died: it opens them one after the other, finds them corrupted, wipes
 * them, and restores them from the changelogs (4.3.1). That is a second of a restart after a crash,
 * and a stack trace for each task. So what nobody has closed is removed before it is opened.
 *
 * <p>Threading: the caller's, which holds the directory's lock by a {@code KafkaStreams} that does
 * not run.
 */
final class LocalState {
  private static final Logger LOG = LoggerFactory.getLogger(LocalState.class);
  private static final Pattern TASK = Pattern.compile("\\d+_\\d+");

  private final Path directory;
  private final Path closed;

  LocalState(final Path directory) {
    this.directory = directory;
    this.closed = directory.resolve("closed");
  }

  static LocalState of(final Map<String, Object> client) {
    final StreamsConfig config = new StreamsConfig(client);
    return new LocalState(
        Path.of(
            config.getString(StreamsConfig.STATE_DIR_CONFIG),
            config.getString(StreamsConfig.APPLICATION_ID_CONFIG)));
  }

  /** Removes the stores unless they were closed; from now on they count as open. */
  void open() {
    try {
      if (Files.deleteIfExists(closed)) {
        return;
      }
      for (final Path task : tasks()) {
        LOG.info("{} was not closed; its stores are restored from the changelogs", task);
        delete(task);
      }
    } catch (final IOException e) {
      // Streams finds out by itself what it cannot use.
      LOG.warn("what was not closed in {} could not be removed: {}", directory, e.toString());
    }
  }

  /** Kafka Streams has closed the stores. */
  void close() {
    try {
      Files.createDirectories(directory);
      Files.writeString(closed, "");
    } catch (final IOException e) {
      LOG.warn("{} cannot be written, the next start restores all: {}", closed, e.toString());
    }
  }

  private List<Path> tasks() throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.filter(file -> TASK.matcher(file.getFileName().toString()).matches()).toList();
    } catch (final NoSuchFileException e) {
      return List.of();
    }
  }

  private static void delete(final Path tree) throws IOException {
    try (Stream<Path> files = Files.walk(tree)) {
      for (final Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    } catch (final UncheckedIOException e) {
      throw e.getCause();
    }
  }
}
