package dev.sarathi.runtime.model;

import dev.sarathi.runtime.model.Weights.FeedForward;
import dev.sarathi.runtime.model.Weights.HeadNorms;
import dev.sarathi.runtime.model.Weights.Layer;
import dev.sarathi.runtime.model.Weights.Norm;
import dev.sarathi.runtime.model.Weights.Projection;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The decoder that Llama and its descendants share, and what they call its keys and weights:
 * RMSNorm, rotary attention and a feed-forward layer gated by SiLU, one after the other.
 *
 * @param queryBias whether the projections to queries, keys and values have a bias
 * @param outputBias whether attention's output projection has one
 * @param feedForwardBias whether the feed-forward projections have one
 * @param headNorms whether query and key heads are normalised
 */
record GatedDecoder(
    boolean queryBias, boolean outputBias, boolean feedForwardBias, boolean headNorms) {

  /** Reads the keys that the families share. */
  static ModelConfig config(final ConfigFile file, final Architecture architecture) {
    file.refuseForeign();
    file.require("hidden_act", "silu");
    final int vocabulary = file.integer("vocab_size", ConfigFile.MAX_VOCABULARY);
    final int hidden = file.integer("hidden_size", ConfigFile.MAX_WIDTH);
    final int heads = file.integer("num_attention_heads", ConfigFile.MAX_HEADS);
    return new ModelConfig(
        architecture,
        vocabulary,
        hidden,
        file.integer("intermediate_size", ConfigFile.MAX_WIDTH),
        layers(file),
        heads,
        file.kvHeads(heads),
        file.headDim(hidden, heads),
        file.real("rms_norm_eps", 1e-12, 1),
        file.integer("max_position_embeddings", ConfigFile.MAX_POSITIONS),
        file.rope(),
        file.bool("tie_word_embeddings", false),
        file.bos(vocabulary),
        file.eos(vocabulary));
  }

  static int layers(final ConfigFile file) {
    return file.integer("num_hidden_layers", ConfigFile.MAX_LAYERS);
  }

  Weights weights(
      final ModelConfig config, final Safetensors files, final List<OptionalInt> windows) {
    final long hidden = config.hiddenSize();
    final long vocabulary = config.vocabularySize();
    final Tensor embedding = files.require("model.embed_tokens.weight", vocabulary, hidden);
    final List<Layer> layers = new ArrayList<>();
    for (int i = 0; i < config.layers(); i++) {
      layers.add(layer(config, files, "model.layers." + i, windows.get(i)));
    }
    return new Weights(
        embedding,
        layers,
        norm(files, "model.norm", hidden),
        config.tiedEmbeddings() ? embedding : files.require("lm_head.weight", vocabulary, hidden));
  }

  private Layer layer(
      final ModelConfig config,
      final Safetensors files,
      final String prefix,
      final OptionalInt window) {
    final int hidden = config.hiddenSize();
    final int intermediate = config.intermediateSize();
    final int queries = config.queryWidth();
    final int keys = config.kvWidth();
    final String attention = prefix + ".self_attn.";
    final String mlp = prefix + ".mlp.";
    return new Layer(
        norm(files, prefix + ".input_layernorm", hidden),
        List.of(
            projection(files, attention + "q_proj", queries, hidden, queryBias),
            projection(files, attention + "k_proj", keys, hidden, queryBias),
            projection(files, attention + "v_proj", keys, hidden, queryBias)),
        headNorms
            ? Optional.of(
                new HeadNorms(
                    files.require(attention + "q_norm.weight", config.headDim()),
                    files.require(attention + "k_norm.weight", config.headDim())))
            : Optional.empty(),
        window,
        projection(files, attention + "o_proj", hidden, queries, outputBias),
        false,
        Optional.of(norm(files, prefix + ".post_attention_layernorm", hidden)),
        new FeedForward.Gated(
            projection(files, mlp + "gate_proj", intermediate, hidden, feedForwardBias),
            projection(files, mlp + "up_proj", intermediate, hidden, feedForwardBias),
            projection(files, mlp + "down_proj", hidden, intermediate, feedForwardBias)));
  }

  private static Norm norm(final Safetensors files, final String name, final long hidden) {
    return new Norm.Rms(files.require(name + ".weight", hidden));
  }

  private static Projection projection(
      final Safetensors files,
      final String name,
      final long outputs,
      final long inputs,
      final boolean bias) {
    return Projection.of(
        files.require(name + ".weight", outputs, inputs),
        bias ? Optional.of(files.require(name + ".bias", outputs)) : Optional.empty());
  }
}
