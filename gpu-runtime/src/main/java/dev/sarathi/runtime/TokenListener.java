package dev.sarathi.runtime;

/**
 * Takes the tokens of a generation. Every method is called on the engine's thread and must not
 * block: all generations wait for it.
 */
public interface TokenListener {

  /** Takes what the generation gained; nothing follows a delta that carries a finish. */
  void onTokens(TokenDelta delta);

  /** The engine broke down; the generation did not end and may be submitted to another engine. */
  void onEngineFailure(EngineFailedException failure);

  /**
   * Whether further tokens are welcome; asked before each iteration. While false the generation
   * skips iterations and keeps its KV.
   */
  default boolean accepts() {
    return true;
  }

  /**
   * Takes the logits from which the first choice's token of this index was drawn, before that
   * token, when the generation was asked for them.
   */
  default void onLogits(final int index, final float[] logits) {}
}
