package dev.sarathi.runtime.execute;

/** The executor is broken: every generation in it fails, and it takes no further batch. */
public final class ExecutorFailedException extends RuntimeException {
  public ExecutorFailedException(final String message, final Throwable cause) {
    super(message, cause);
  }
}
