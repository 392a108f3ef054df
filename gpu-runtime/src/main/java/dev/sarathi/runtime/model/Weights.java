package dev.sarathi.runtime.model;

import java.util.List;

/**
 * The weights of a decoder with RMSNorm, rotary attention and a gated feed-forward layer. Every
 * projection is {@code [outputs, inputs]}.
 *
 * @param embedding {@code [vocabulary, hidden]}
 * @param finalNorm {@code [hidden]}
 * @param head {@code [vocabulary, hidden]}; the embedding itself where the two are tied
 */
public record Weights(Tensor embedding, List<Layer> layers, Tensor finalNorm, Tensor head) {

  public Weights {
    layers = List.copyOf(layers);
  }

  /** One decoder layer. */
  public record Layer(
      Tensor attentionNorm,
      Tensor query,
      Tensor key,
      Tensor value,
      Tensor output,
      Tensor feedForwardNorm,
      Tensor gate,
      Tensor up,
      Tensor down) {}
}
