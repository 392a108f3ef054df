package dev.sarathi.runtime.model;

import dev.sarathi.runtime.model.Weights.FeedForward;
import dev.sarathi.runtime.model.Weights.Layer;
import dev.sarathi.runtime.model.Weights.Norm;
import dev.sarathi.runtime.model.Weights.Projection;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Falcon: LayerNorm, rotary attention and a feed-forward layer with GELU, mostly side by side.
 * Queries, keys and values come from one weight, group by group: the query heads of a group, its
 * key head, its value head.
 *
 * @param order how a layer's parts follow each other
 * @param bias whether all projections have a bias
 */
public record Falcon(Order order, boolean bias) implements Architecture {

  /** Which norms a layer has, and what follows them. */
  public enum Order {
    /** 40B and 180B: side by side, each after its own norm. */
    PARALLEL_TWO_NORMS,
    /** 7B and 11B: side by side after one norm. */
    PARALLEL_ONE_NORM,
    /** One after the other, each after its own norm. */
    SEQUENTIAL
  }

  private static final int DEFAULT_POSITIONS = 2048;

  static ModelConfig config(final ConfigFile file) {
    file.refuseForeign();
    file.require("activation", "gelu");
    file.require("hidden_act", "gelu");
    final int layers = file.renamed("num_hidden_layers", "n_layer", ConfigFile.MAX_LAYERS);
    file.requireFullAttention(layers);
    final int vocabulary = file.integer("vocab_size", ConfigFile.MAX_VOCABULARY);
    final int hidden = file.renamed("hidden_size", "n_embed", ConfigFile.MAX_WIDTH / 4);
    final int heads = file.renamed("num_attention_heads", "n_head", ConfigFile.MAX_HEADS);
    file.refuse("head_dim");
    return new ModelConfig(
        new Falcon(order(file), file.bool("bias", false)),
        vocabulary,
        hidden,
        file.integer("ffn_hidden_size", ConfigFile.MAX_WIDTH, 4 * hidden),
        layers,
        heads,
        kvHeads(file, heads),
        file.headDim(hidden, heads),
        file.real("layer_norm_epsilon", 1e-12, 1),
        file.integer("max_position_embeddings", ConfigFile.MAX_POSITIONS, DEFAULT_POSITIONS),
        file.rope(),
        file.bool("tie_word_embeddings", true),
        file.bos(vocabulary),
        file.eos(vocabulary));
  }

  private static Order order(final ConfigFile file) {
    final String norms = "num_ln_in_parallel_attn";
    if (!file.bool("new_decoder_architecture", false)) {
      if (!file.bool("parallel_attn", true)) {
        return Order.SEQUENTIAL;
      }
      file.require(norms, 1, "1 where new_decoder_architecture is false");
      return Order.PARALLEL_ONE_NORM;
    }
    if (!file.bool("parallel_attn", true)) {
      throw file.refusal("parallel_attn", "true where new_decoder_architecture is true");
    }
    return switch (file.integer(norms, 2, 2)) {
      case 1 -> Order.PARALLEL_ONE_NORM;
      default -> Order.PARALLEL_TWO_NORMS;
    };
  }

  /** The older decoder has one key and value head for all query heads, or one for each. */
  private static int kvHeads(final ConfigFile file, final int heads) {
    final boolean given = file.has("num_kv_heads") || file.has("n_head_kv");
    final int kvHeads =
        given ? file.renamed("num_kv_heads", "n_head_kv", ConfigFile.MAX_HEADS) : heads;
    if (file.bool("new_decoder_architecture", false)) {
      if (heads % kvHeads != 0) {
        throw file.refusal("num_kv_heads", "a divisor of num_attention_heads, which is " + heads);
      }
      return kvHeads;
    }
    if (file.bool("multi_query", true)) {
      return 1;
    }
    if (kvHeads != heads) {
      throw file.refusal(
          "num_kv_heads", heads + ", the number of heads, where multi_query is false");
    }
    return heads;
  }

  @Override
  public Weights weights(final ModelConfig config, final Safetensors files) {
    final long hidden = config.hiddenSize();
    final long vocabulary = config.vocabularySize();
    final Tensor embedding =
        files.require("transformer.word_embeddings.weight", vocabulary, hidden);
    final List<Layer> layers = new ArrayList<>();
    for (int i = 0; i < config.layers(); i++) {
      layers.add(layer(config, files, "transformer.h." + i));
    }
    return new Weights(
        embedding,
        layers,
        norm(files, "transformer.ln_f", hidden),
        config.tiedEmbeddings() ? embedding : files.require("lm_head.weight", vocabulary, hidden));
  }

  private Layer layer(final ModelConfig config, final Safetensors files, final String prefix) {
    final int hidden = config.hiddenSize();
    final int intermediate = config.intermediateSize();
    final boolean own = order == Order.PARALLEL_TWO_NORMS;
    final Optional<Norm> feedForwardNorm =
        switch (order) {
          case PARALLEL_TWO_NORMS -> Optional.of(norm(files, prefix + ".ln_mlp", hidden));
          case PARALLEL_ONE_NORM -> Optional.empty();
          case SEQUENTIAL -> Optional.of(norm(files, prefix + ".post_attention_layernorm", hidden));
        };
    return new Layer(
        norm(files, prefix + (own ? ".ln_attn" : ".input_layernorm"), hidden),
        queryKeyValue(config, files, prefix + ".self_attention.query_key_value"),
        Optional.empty(),
        OptionalInt.empty(),
        projection(files, prefix + ".self_attention.dense", hidden, config.queryWidth()),
        order != Order.SEQUENTIAL,
        feedForwardNorm,
        new FeedForward.Plain(
            projection(files, prefix + ".mlp.dense_h_to_4h", intermediate, hidden),
            projection(files, prefix + ".mlp.dense_4h_to_h", hidden, intermediate)));
  }

  private List<Projection> queryKeyValue(
      final ModelConfig config, final Safetensors files, final String name) {
    final int dim = config.headDim();
    final int queries = config.heads() / config.kvHeads() * dim;
    final int group = queries + 2 * dim;
    final Projection fused = projection(files, name, config.kvHeads() * group, config.hiddenSize());
    final List<Projection> rows = new ArrayList<>();
    for (int i = 0; i < config.kvHeads(); i++) {
      rows.add(fused.rows(i * group, queries));
    }
    for (int i = 0; i < config.kvHeads(); i++) {
      rows.add(fused.rows(i * group + queries, dim));
    }
    for (int i = 0; i < config.kvHeads(); i++) {
      rows.add(fused.rows(i * group + queries + dim, dim));
    }
    return rows;
  }

  private static Norm norm(final Safetensors files, final String name, final long hidden) {
    return new Norm.Layer(
        files.require(name + ".weight", hidden), files.require(name + ".bias", hidden));
  }

  private Projection projection(
      final Safetensors files, final String name, final long outputs, final long inputs) {
    return Projection.of(
        files.require(name + ".weight", outputs, inputs),
        bias ? Optional.of(files.require(name + ".bias", outputs)) : Optional.empty());
  }
}
