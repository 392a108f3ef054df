package dev.sarathi.runtime;

/** The engine is broken and serves nothing any more; its generations did not end. */
public final class EngineFailedException extends RuntimeException {
  /**
   * Reports a broken engine.
   *
   * @param message what happened
   * @param cause what the engine or its executor threw
   */
  public EngineFailedException(final String message, final Throwable cause) {
    super(message, cause);
  }
}
