package dev.sarathi.schemas.batch;

/** A line is no request; the message names the field, its value and what would be valid. */
public final class InvalidLineException extends Exception {
  InvalidLineException(final String message) {
    super(message);
  }

  InvalidLineException(final String message, final Throwable cause) {
    super(message, cause);
  }
}
