package dev.sarathi.runtime.model;

import java.util.List;
import java.util.OptionalInt;

/**
 * Mistral: Llama's layers, of which all may see only a window of the past.
 *
 * @param windows of each layer
 */
public record Mistral(List<OptionalInt> windows) implements Architecture {

  public Mistral {
    windows = List.copyOf(windows);
  }

  static ModelConfig config(final ConfigFile file) {
    file.require("attention_bias", false);
    file.require("mlp_bias", false);
    final OptionalInt window =
        file.has("sliding_window")
            ? OptionalInt.of(file.integer("sliding_window", ConfigFile.MAX_POSITIONS))
            : OptionalInt.empty();
    final List<OptionalInt> windows = file.windows(GatedDecoder.layers(file), window, 0);
    if (windows.contains(OptionalInt.empty()) && window.isPresent()) {
      throw file.refusal("layer_types", "sliding_attention alone where sliding_window is given");
    }
    return GatedDecoder.config(file, new Mistral(windows));
  }

  @Override
  public Weights weights(final ModelConfig config, final Safetensors files) {
    return new GatedDecoder(false, false, false, false).weights(config, files, windows);
  }
}
