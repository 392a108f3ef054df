package dev.sarathi.runtime.model;

import java.nio.file.Path;
import java.util.OptionalInt;
import java.util.Set;

/**
 * What {@code config.json} says of a decoder-only transformer.
 *
 * @param architecture the model's family and which of its variants
 * @param vocabularySize rows of the embedding and of the logits
 * @param hiddenSize width of the residual stream
 * @param intermediateSize width of the feed-forward layer
 * @param layers decoder layers
 * @param heads query heads
 * @param kvHeads key and value heads; divides {@code heads}
 * @param headDim dimensions of one head; even
 * @param normEpsilon added to the mean square or the variance before its root is taken
 * @param maxPositions the longest context
 * @param rope how positions are encoded
 * @param tiedEmbeddings whether the embedding is the output projection too
 * @param bosToken the token that begins a text, if there is one
 * @param eosTokens the tokens that end a generation; {@code generation_config.json} beside the file
 *     wins
 */
public record ModelConfig(
    Architecture architecture,
    int vocabularySize,
    int hiddenSize,
    int intermediateSize,
    int layers,
    int heads,
    int kvHeads,
    int headDim,
    float normEpsilon,
    int maxPositions,
    Rope rope,
    boolean tiedEmbeddings,
    OptionalInt bosToken,
    Set<Integer> eosTokens) {

  public ModelConfig {
    eosTokens = Set.copyOf(eosTokens);
  }

  /**
   * Reads a configuration, and {@code generation_config.json} beside it if there is one.
   *
   * @throws ModelFormatException naming the key, its value and what is supported
   */
  public static ModelConfig read(final Path file) {
    return Architecture.config(ConfigFile.read(file));
  }

  /** Width of all query heads together. */
  public int queryWidth() {
    return heads * headDim;
  }

  /** Width of all key heads, or of all value heads, together. */
  public int kvWidth() {
    return kvHeads * headDim;
  }
}
