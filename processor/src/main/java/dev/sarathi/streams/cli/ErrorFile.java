package dev.sarathi.streams.cli;

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * Takes what this process writes to the standard error stream, its log above all, while a command
 * draws on the terminal.
 */
final class ErrorFile implements AutoCloseable {
  private final PrintStream usual = System.err;
  private final PrintStream file;

  private ErrorFile(final PrintStream file) {
    this.file = file;
  }

  static ErrorFile open(final Path path) {
    try {
      final ErrorFile opened =
          new ErrorFile(
              new PrintStream(
                  new FileOutputStream(path.toFile(), true), true, StandardCharsets.UTF_8));
      System.setErr(opened.file);
      return opened;
    } catch (IOException e) {
      throw new UncheckedIOException(path + " cannot be written", e);
    }
  }

  @Override
  public void close() {
    System.setErr(usual);
    file.close();
  }
}
