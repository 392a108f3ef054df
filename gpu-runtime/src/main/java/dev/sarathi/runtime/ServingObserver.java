package dev.sarathi.runtime;

/**
 * Hears of an engine's work in numbers alone, cheaply enough to do so always. All times are in
 * nanoseconds of the executor's clock.
 *
 * <p>Threading: called on the engine thread, for which every generation waits: a method must
 * neither block nor wait for a lock. An observer that throws is dropped.
 */
public interface ServingObserver {

  /**
   * A batch is done.
   *
   * @param tokens how many positions it computed, of prompts and decodes
   * @param nanos from its start to its end
   */
  default void onBatch(final int tokens, final long nanos) {}

  /**
   * The first chunk of a generation is scheduled; once for each time that it was handed over.
   *
   * @param promptTokens how long its prompt is
   * @param queuedNanos since the engine was handed the request
   */
  default void onBegin(final int promptTokens, final long queuedNanos) {}

  /**
   * A choice has its first token, or its first since it was resumed.
   *
   * @param nanos since the engine was handed the request
   */
  default void onFirstToken(final long nanos) {}

  /**
   * A choice has a further token.
   *
   * @param gapNanos since the token before
   */
  default void onNextToken(final long gapNanos) {}

  /**
   * A choice has ended.
   *
   * @param finish why, and what it used
   */
  default void onFinish(final Finish finish) {}
}
