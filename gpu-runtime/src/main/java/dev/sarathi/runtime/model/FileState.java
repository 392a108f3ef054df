package dev.sarathi.runtime.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;

/**
 * What a file system tells of a file's content without its being read. Whatever writes to the file
 * or puts another in its place changes this, for no program can set the time of change.
 *
 * @param file without links
 * @param modified what {@code touch} may set
 * @param changed when content or attributes were last changed
 * @param inode its number in its file system
 */
record FileState(Path file, long size, FileTime modified, FileTime changed, long inode) {
  /** Longer than the ticks by which any file system counts. */
  private static final Duration TICK = Duration.ofSeconds(2);

  /** Absent where the file cannot be looked at, or has no time of change. */
  static Optional<FileState> of(final Path file) {
    try {
      final Path real = file.toRealPath();
      final Map<String, Object> attributes =
          Files.readAttributes(real, "unix:size,lastModifiedTime,ctime,ino");
      return Optional.of(
          new FileState(
              real,
              (long) attributes.get("size"),
              (FileTime) attributes.get("lastModifiedTime"),
              (FileTime) attributes.get("ctime"),
              (long) attributes.get("ino")));
    } catch (final IOException | UnsupportedOperationException | IllegalArgumentException e) {
      return Optional.empty(); // who opens the file tells what is wrong with it
    }
  }

  /**
   * Whether other content would have another state. Within one tick a file may be changed twice;
   * and where times are whole seconds they may be those of an image, the same for every version.
   */
  boolean tells(final Instant now) {
    return changed.toInstant().getNano() != 0 && changed.toInstant().isBefore(now.minus(TICK));
  }
}
