package dev.sarathi.runtime.fuzz;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A file of a model that a fuzz target writes anew for every input, in a directory of its own. */
public final class ScratchFile {
  private final Path path;

  public ScratchFile(final String name) {
    try {
      path = Files.createTempDirectory("sarathi-fuzz").resolve(name);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
    path.toFile().deleteOnExit();
  }

  public Path path() {
    return path;
  }

  public Path directory() {
    return path.getParent();
  }

  public void write(final byte[] bytes) {
    write(path, bytes);
  }

  /** Writes another file into the same directory. */
  public void beside(final String name, final byte[] bytes) {
    write(directory().resolve(name), bytes);
  }

  /** An error of a file begins with its name. */
  public void mustBeNamedBy(final RuntimeException error) {
    mustBeginWith(path, error);
  }

  public void directoryMustBeNamedBy(final RuntimeException error) {
    mustBeginWith(directory(), error);
  }

  private static void mustBeginWith(final Path name, final RuntimeException error) {
    if (!error.getMessage().startsWith(name.toString())) {
      throw new AssertionError("an error that does not name " + name, error);
    }
  }

  private static void write(final Path path, final byte[] bytes) {
    try {
      Files.write(path, bytes);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
