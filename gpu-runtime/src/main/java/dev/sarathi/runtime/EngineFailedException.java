package dev.sarathi.runtime;

/** The engine is broken and serves nothing any more; its generations did not end. */
public final class EngineFailedException extends RuntimeException {
  public EngineFailedException(final String message, final Throwable cause) {
    super(message, cause);
  }
}
