package dev.sarathi.runtime.model;

import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * A model family, with what its configuration chose among its variants. It knows how the family
 * calls its keys and its weights, and describes its layers in terms that executors share.
 */
public sealed interface Architecture permits Falcon, Llama, Mistral, Qwen2, Qwen3 {

  /** Finds every weight and checks its shape against the configuration. */
  Weights weights(ModelConfig config, Safetensors files);

  /** Reads a configuration of any family; a family is its class, and its line here. */
  static ModelConfig config(final ConfigFile file) {
    final var families =
        new TreeMap<String, Function<ConfigFile, ModelConfig>>(
            Map.of(
                "FalconForCausalLM", Falcon::config,
                "LlamaForCausalLM", Llama::config,
                "MistralForCausalLM", Mistral::config,
                "Qwen2ForCausalLM", Qwen2::config,
                "Qwen3ForCausalLM", Qwen3::config));
    return families.get(file.oneOf("architectures", families.keySet())).apply(file);
  }
}
