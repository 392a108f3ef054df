package dev.sarathi.runtime.model;

import java.util.List;
import java.util.OptionalInt;

/**
 * Qwen2 and 2.5: Llama's layers with biases on queries, keys and values.
 *
 * @param windows of each layer
 */
public record Qwen2(List<OptionalInt> windows) implements Architecture {

  // What transformers takes where the keys are absent.
  private static final int DEFAULT_WINDOW = 4096;
  private static final int DEFAULT_FULL_LAYERS = 28;

  public Qwen2 {
    windows = List.copyOf(windows);
  }

  static ModelConfig config(final ConfigFile file) {
    file.require("attention_bias", true);
    file.require("mlp_bias", false);
    return GatedDecoder.config(file, new Qwen2(windows(file)));
  }

  /**
   * A window counts only where {@code use_sliding_window} says so, and not for the first layers.
   */
  static List<OptionalInt> windows(final ConfigFile file) {
    final int layers = GatedDecoder.layers(file);
    if (!file.bool("use_sliding_window", false)) {
      return file.windows(layers, OptionalInt.empty(), layers);
    }
    // Unlike elsewhere 0 is a number of layers: every one slides.
    final int full =
        file.isZero("max_window_layers")
            ? 0
            : file.integer("max_window_layers", ConfigFile.MAX_LAYERS, DEFAULT_FULL_LAYERS);
    final int window = file.integer("sliding_window", ConfigFile.MAX_POSITIONS, DEFAULT_WINDOW);
    return file.windows(layers, OptionalInt.of(window), full);
  }

  @Override
  public Weights weights(final ModelConfig config, final Safetensors files) {
    return new GatedDecoder(true, false, false, false).weights(config, files, windows);
  }
}
