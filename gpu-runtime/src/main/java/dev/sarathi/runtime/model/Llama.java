package dev.sarathi.runtime.model;

import java.util.Collections;
import java.util.OptionalInt;

/**
 * Llama 2 and 3, and what is published in their form, such as Yi.
 *
 * @param attentionBias whether all of attention's projections have a bias
 * @param feedForwardBias whether the feed-forward projections have one
 */
public record Llama(boolean attentionBias, boolean feedForwardBias) implements Architecture {

  static ModelConfig config(final ConfigFile file) {
    file.requireFullAttention(GatedDecoder.layers(file));
    return GatedDecoder.config(
        file, new Llama(file.bool("attention_bias", false), file.bool("mlp_bias", false)));
  }

  @Override
  public Weights weights(final ModelConfig config, final Safetensors files) {
    return new GatedDecoder(attentionBias, attentionBias, feedForwardBias, false)
        .weights(config, files, Collections.nCopies(config.layers(), OptionalInt.empty()));
  }
}
