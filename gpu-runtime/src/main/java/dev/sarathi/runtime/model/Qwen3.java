package dev.sarathi.runtime.model;

import java.util.List;
import java.util.OptionalInt;

/**
 * Qwen3: Llama's layers with each query and key head normalised.
 *
 * @param attentionBias whether all of attention's projections have a bias
 * @param windows of each layer
 */
public record Qwen3(boolean attentionBias, List<OptionalInt> windows) implements Architecture {

  public Qwen3 {
    windows = List.copyOf(windows);
  }

  static ModelConfig config(final ConfigFile file) {
    file.require("mlp_bias", false);
    // Where it is absent transformers takes 128, whatever the other sizes are.
    file.integer("head_dim", ConfigFile.MAX_HEAD_DIM);
    return GatedDecoder.config(
        file, new Qwen3(file.bool("attention_bias", false), Qwen2.windows(file)));
  }

  @Override
  public Weights weights(final ModelConfig config, final Safetensors files) {
    return new GatedDecoder(attentionBias, attentionBias, false, true)
        .weights(config, files, windows);
  }
}
