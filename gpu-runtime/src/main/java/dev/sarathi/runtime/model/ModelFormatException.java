package dev.sarathi.runtime.model;

import java.nio.file.Path;

/** A model's file is damaged, or asks for something that is not supported. */
public final class ModelFormatException extends RuntimeException {
  public ModelFormatException(final Path file, final String problem) {
    super(file + ": " + problem);
  }

  public ModelFormatException(final Path file, final String problem, final Throwable cause) {
    super(file + ": " + problem, cause);
  }
}
