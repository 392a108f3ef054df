package dev.sarathi.runtime.model;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/** The model families that are supported, and what their weights are called in the files. */
public enum Architecture {
  LLAMA("LlamaForCausalLM") {
    @Override
    Weights weights(final ModelConfig config, final Safetensors files) {
      long hidden = config.hiddenSize();
      long vocabulary = config.vocabularySize();
      Tensor embedding = files.require("model.embed_tokens.weight", vocabulary, hidden);
      return new Weights(
          embedding,
          IntStream.range(0, config.layers())
              .mapToObj(i -> layer(config, files, "model.layers." + i))
              .toList(),
          files.require("model.norm.weight", hidden),
          config.tiedEmbeddings()
              ? embedding
              : files.require("lm_head.weight", vocabulary, hidden));
    }

    private Weights.Layer layer(
        final ModelConfig config, final Safetensors files, final String prefix) {
      long hidden = config.hiddenSize();
      long intermediate = config.intermediateSize();
      String attention = prefix + ".self_attn.";
      String mlp = prefix + ".mlp.";
      return new Weights.Layer(
          files.require(prefix + ".input_layernorm.weight", hidden),
          files.require(attention + "q_proj.weight", config.queryWidth(), hidden),
          files.require(attention + "k_proj.weight", config.kvWidth(), hidden),
          files.require(attention + "v_proj.weight", config.kvWidth(), hidden),
          files.require(attention + "o_proj.weight", hidden, config.queryWidth()),
          files.require(prefix + ".post_attention_layernorm.weight", hidden),
          files.require(mlp + "gate_proj.weight", intermediate, hidden),
          files.require(mlp + "up_proj.weight", intermediate, hidden),
          files.require(mlp + "down_proj.weight", hidden, intermediate));
    }
  };

  private final String className;

  Architecture(final String className) {
    this.className = className;
  }

  /** Finds every weight and checks its shape against the configuration. */
  abstract Weights weights(ModelConfig config, Safetensors files);

  static Optional<Architecture> named(final String className) {
    return Arrays.stream(values()).filter(a -> a.className.equals(className)).findFirst();
  }

  static List<String> names() {
    return Arrays.stream(values()).map(a -> a.className).toList();
  }
}
