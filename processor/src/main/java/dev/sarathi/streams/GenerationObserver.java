package dev.sarathi.streams;

import java.time.Duration;

/**
 * Hears what becomes of a node's tokens and requests. What it hears of may have to be done again,
 * after a crash say: it is for measurements.
 *
 * <p>Threading: called by any stream thread, which waits meanwhile.
 */
public interface GenerationObserver {
  /** Nobody. */
  GenerationObserver NONE = new GenerationObserver() {};

  /**
   * A commit that holds tokens of a request is over.
   *
   * @param nanos from the engine's emission of the first of them to the task's first turn after the
   *     commit
   */
  default void onCommitted(final long nanos) {}

  /**
   * The end of a request is written.
   *
   * @param sincePrompt since the timestamp of its record
   */
  default void onEnd(final Duration sincePrompt) {}
}
