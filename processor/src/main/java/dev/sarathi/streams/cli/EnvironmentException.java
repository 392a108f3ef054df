package dev.sarathi.streams.cli;

/** A command cannot work here; the message says what is missing and how to get it. */
final class EnvironmentException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  EnvironmentException(final String message) {
    super(message);
  }

  EnvironmentException(final String message, final Throwable cause) {
    super(message, cause);
  }
}
