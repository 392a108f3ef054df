package dev.sarathi.runtime.constrain;

/** What a text must be cannot be promised; the message names the place and what would be valid. */
public final class ConstraintException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  ConstraintException(final String message) {
    super(message);
  }
}
