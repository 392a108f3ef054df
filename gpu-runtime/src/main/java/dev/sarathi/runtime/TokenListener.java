package dev.sarathi.runtime;

/**
 * Takes the tokens of a generation. Every method is called on the engine's thread and must not
 * block: all generations wait for it.
 */
public interface TokenListener {

  /**
   * Takes what the generation gained. Nothing of a choice follows a delta that carries its finish,
   * nothing at all one that is the last.
   *
   * @param delta tokens and text, in order for each choice
   */
  void onTokens(TokenDelta delta);

  /**
   * The engine broke down; the generation did not end and may be submitted to another engine.
   *
   * @param failure why
   */
  void onEngineFailure(EngineFailedException failure);

  /**
   * Whether further tokens are welcome; asked before each iteration. While false the generation
   * skips iterations and keeps its KV.
   *
   * @return whether to go on; true unless overridden
   */
  default boolean accepts() {
    return true;
  }

  /**
   * Takes the logits from which the first choice's token of this index was drawn, before that
   * token, when the generation was asked for them.
   *
   * @param index the token's, from 0
   * @param logits one for each token of the vocabulary
   */
  default void onLogits(final int index, final float[] logits) {}
}
