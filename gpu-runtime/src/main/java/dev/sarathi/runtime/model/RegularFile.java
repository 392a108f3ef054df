package dev.sarathi.runtime.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;

/** Files that have a length; a directory, a device or a pipe might block or never end. */
final class RegularFile {
  private RegularFile() {}

  /** Whether there is something by this name; a link that leads nowhere counts. */
  static boolean isThere(final Path file) {
    return Files.exists(file, LinkOption.NOFOLLOW_LINKS);
  }

  /**
   * The length in bytes.
   *
   * @throws ModelFormatException if this is no regular file, or none at all
   */
  static long size(final Path file) {
    try {
      final BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
      if (!attributes.isRegularFile()) {
        throw new ModelFormatException(file, "not a regular file");
      }
      return attributes.size();
    } catch (final NoSuchFileException e) {
      throw new ModelFormatException(file, "no such file", e);
    } catch (final IOException e) {
      throw new ModelFormatException(file, "cannot be read: " + e, e);
    }
  }
}
