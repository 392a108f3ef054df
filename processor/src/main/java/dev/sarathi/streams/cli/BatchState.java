package dev.sarathi.streams.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.schemas.batch.DurableFile;
import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The directory beside an unfinished output that a later run goes on from: what was begun, the
 * files of an application of its own, and a lock that lets one process at a time work on it.
 */
final class BatchState implements Closeable {
  private static final ObjectMapper JSON = new ObjectMapper();

  /**
   * What was begun. A run that differs in any of it but the offsets would not go on from there.
   *
   * @param fingerprint of the input
   * @param answeredBy who answers: the settings that decide it
   * @param offsets of each partition of the completions, from where on the answers are
   */
  record Begun(String fingerprint, Map<String, String> answeredBy, List<Long> offsets) {}

  private final Path directory;
  private final FileChannel lockFile;

  private BatchState(final Path directory, final FileChannel lockFile) {
    this.directory = directory;
    this.lockFile = lockFile;
  }

  static Path of(final Path output) {
    return output.resolveSibling(output.getFileName() + ".sarathi");
  }

  /**
   * Makes the directory if it is not there.
   *
   * @return empty if another process works on it
   */
  static Optional<BatchState> open(final Path directory) throws IOException {
    Files.createDirectories(directory);
    final FileChannel channel =
        FileChannel.open(
            directory.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    FileLock lock;
    try {
      lock = channel.tryLock();
    } catch (OverlappingFileLockException e) {
      lock = null;
    }
    if (lock == null) {
      channel.close();
      return Optional.empty();
    }
    return Optional.of(new BatchState(directory, channel));
  }

  Path directory() {
    return directory;
  }

  Optional<Begun> begun() throws IOException {
    try {
      return Optional.of(JSON.readValue(Files.readAllBytes(begunFile()), Begun.class));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    }
  }

  void begin(final Begun begun) throws IOException {
    DurableFile.write(
        begunFile(), JSON.writerWithDefaultPrettyPrinter().writeValueAsString(begun) + "\n");
  }

  private Path begunFile() {
    return directory.resolve("begun.json");
  }

  /** Deletes all but the lock. */
  void clear() throws IOException {
    try (Stream<Path> files = Files.walk(directory)) {
      for (final Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        if (!file.equals(directory) && !file.equals(directory.resolve("lock"))) {
          Files.deleteIfExists(file);
        }
      }
    }
  }

  /** Deletes the directory: there is nothing left to do. */
  void delete() throws IOException {
    clear();
    lockFile.close();
    Files.deleteIfExists(directory.resolve("lock"));
    Files.deleteIfExists(directory);
  }

  @Override
  public void close() throws IOException {
    lockFile.close();
  }
}
