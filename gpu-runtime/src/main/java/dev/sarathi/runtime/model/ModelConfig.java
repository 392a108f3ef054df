package dev.sarathi.runtime.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;

/**
 * What {@code config.json} says of a decoder-only transformer.
 *
 * @param vocabularySize rows of the embedding and of the logits
 * @param hiddenSize width of the residual stream
 * @param intermediateSize width of the gated feed-forward layer
 * @param layers decoder layers
 * @param heads query heads
 * @param kvHeads key and value heads; divides {@code heads}
 * @param headDim dimensions of one head; even
 * @param rmsEpsilon added to the mean square before its root is taken
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
    float rmsEpsilon,
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
    return new Reader(file, Json.read(file)).config();
  }

  /** Width of all query heads together. */
  public int queryWidth() {
    return heads * headDim;
  }

  /** Width of all key heads, or of all value heads, together. */
  public int kvWidth() {
    return kvHeads * headDim;
  }

  private record Reader(Path file, ObjectNode root) {
    // Far above every published model.
    private static final int MAX_WIDTH = 1 << 20;
    private static final int MAX_HEADS = 1 << 10;
    private static final int MAX_HEAD_DIM = 1 << 10;
    private static final int MAX_LAYERS = 1 << 10;
    private static final int MAX_VOCABULARY = 1 << 22;
    private static final int MAX_POSITIONS = 1 << 26;

    ModelConfig config() {
      final Architecture architecture = architecture();
      refuseUnsupported();
      final int vocabulary = integer("vocab_size", MAX_VOCABULARY);
      final int hidden = integer("hidden_size", MAX_WIDTH);
      final int heads = integer("num_attention_heads", MAX_HEADS);
      final int kvHeads =
          has("num_key_value_heads") ? integer("num_key_value_heads", MAX_HEADS) : heads;
      if (heads % kvHeads != 0) {
        throw refusal("num_key_value_heads", "a divisor of num_attention_heads, which is " + heads);
      }
      return new ModelConfig(
          architecture,
          vocabulary,
          hidden,
          integer("intermediate_size", MAX_WIDTH),
          integer("num_hidden_layers", MAX_LAYERS),
          heads,
          kvHeads,
          headDim(hidden, heads),
          real(root, "rms_norm_eps", 1e-12, 1),
          integer("max_position_embeddings", MAX_POSITIONS),
          rope(),
          bool("tie_word_embeddings"),
          bos(vocabulary),
          eos(vocabulary));
    }

    private Architecture architecture() {
      final JsonNode names = root.path("architectures");
      if (names.size() == 1) {
        final Optional<Architecture> known = Architecture.named(names.get(0).asText());
        if (known.isPresent()) {
          return known.get();
        }
      }
      throw refusal("architectures", "one of " + Architecture.names());
    }

    private void refuseUnsupported() {
      allow("hidden_act", "silu");
      for (String bias : List.of("attention_bias", "mlp_bias")) {
        if (bool(bias)) {
          throw refusal(bias, "false");
        }
      }
      for (String feature : List.of("sliding_window", "quantization_config")) {
        if (has(feature)) {
          throw refusal(feature, "null");
        }
      }
      if (has("partial_rotary_factor") && root.get("partial_rotary_factor").asDouble() != 1) {
        throw refusal("partial_rotary_factor", "1");
      }
    }

    private int headDim(final int hidden, final int heads) {
      if (has("head_dim")) {
        final int dim = integer("head_dim", MAX_HEAD_DIM);
        if (dim % 2 != 0) {
          throw refusal("head_dim", "an even number, since rotary dimensions come in pairs");
        }
        return dim;
      }
      if (hidden % (2 * heads) != 0 || hidden / heads > MAX_HEAD_DIM) {
        throw refusal(
            "hidden_size",
            "an even multiple of num_attention_heads, which is "
                + heads
                + ", where head_dim is not given");
      }
      return hidden / heads;
    }

    /** Older files have {@code rope_theta} and {@code rope_scaling}; newer ones one object. */
    private Rope rope() {
      final boolean newer = has("rope_parameters");
      final String key = newer ? "rope_parameters" : "rope_scaling";
      if (!has(key)) {
        return new Rope.Plain(theta(root));
      }
      final JsonNode rope = root.get(key);
      if (!rope.isObject()) {
        throw refusal(key, "an object");
      }
      final float theta = theta(rope.hasNonNull("rope_theta") ? rope : root);
      if (rope.hasNonNull("partial_rotary_factor")
          && rope.get("partial_rotary_factor").asDouble() != 1) {
        throw refusal(key, "partial_rotary_factor 1");
      }
      final String type =
          rope.path(rope.hasNonNull("rope_type") ? "rope_type" : "type").asText("default");
      return switch (type) {
        case "default" -> new Rope.Plain(theta);
        case "linear" -> new Rope.Linear(theta, factor(rope, "factor"));
        case "llama3" -> {
          final float low = factor(rope, "low_freq_factor");
          final float high = factor(rope, "high_freq_factor");
          if (high <= low) {
            throw refusal(key, "a high_freq_factor above low_freq_factor");
          }
          yield new Rope.Llama3(
              theta,
              factor(rope, "factor"),
              low,
              high,
              integer(rope, "original_max_position_embeddings", MAX_POSITIONS));
        }
        default -> throw refusal(key, "rope_type default, linear or llama3");
      };
    }

    private float theta(final JsonNode node) {
      // Configurations older than the key mean what the first Llama was trained with.
      return node.hasNonNull("rope_theta") ? real(node, "rope_theta", 1, 1e12) : 10_000;
    }

    private float factor(final JsonNode node, final String key) {
      return real(node, key, 1e-3, 1e6);
    }

    private OptionalInt bos(final int vocabulary) {
      final List<Integer> ids = tokens(file, root, "bos_token_id", vocabulary);
      return ids.isEmpty() ? OptionalInt.empty() : OptionalInt.of(ids.getFirst());
    }

    private Set<Integer> eos(final int vocabulary) {
      final Path beside = file.resolveSibling("generation_config.json");
      if (Files.exists(beside)) {
        final ObjectNode generation = Json.read(beside);
        if (generation.hasNonNull("eos_token_id")) {
          return new TreeSet<>(tokens(beside, generation, "eos_token_id", vocabulary));
        }
      }
      return new TreeSet<>(tokens(file, root, "eos_token_id", vocabulary));
    }

    private static List<Integer> tokens(
        final Path file, final JsonNode node, final String key, final int vocabulary) {
      final JsonNode value = node.path(key);
      final List<Integer> ids = new ArrayList<>();
      for (JsonNode id : value.isArray() ? value : List.of(value)) {
        if (id.isMissingNode() || id.isNull()) {
          continue;
        }
        if (!id.canConvertToInt()
            || !id.isIntegralNumber()
            || id.asInt() < 0
            || id.asInt() >= vocabulary) {
          throw refusal(file, key, value, "token ids from 0 to " + (vocabulary - 1));
        }
        ids.add(id.asInt());
      }
      return ids;
    }

    private boolean has(final String key) {
      return root.hasNonNull(key);
    }

    private void allow(final String key, final String only) {
      if (has(key) && !root.get(key).asText().equals(only)) {
        throw refusal(key, only);
      }
    }

    private boolean bool(final String key) {
      if (has(key) && !root.get(key).isBoolean()) {
        throw refusal(key, "true or false");
      }
      return root.path(key).asBoolean(false);
    }

    private int integer(final String key, final int max) {
      return integer(root, key, max);
    }

    private int integer(final JsonNode node, final String key, final int max) {
      final JsonNode value = node.path(key);
      if (!value.isIntegralNumber()
          || !value.canConvertToInt()
          || value.asInt() < 1
          || value.asInt() > max) {
        throw refusal(file, key, value, "an integer from 1 to " + max);
      }
      return value.asInt();
    }

    private float real(final JsonNode node, final String key, final double min, final double max) {
      final JsonNode value = node.path(key);
      if (!value.isNumber() || !(value.asDouble() >= min && value.asDouble() <= max)) {
        throw refusal(file, key, value, "a number from " + min + " to " + max);
      }
      return (float) value.asDouble();
    }

    private ModelFormatException refusal(final String key, final String supported) {
      return refusal(file, key, root.path(key), supported);
    }

    private static ModelFormatException refusal(
        final Path file, final String key, final JsonNode value, final String supported) {
      final String found = value.isMissingNode() ? "missing" : value.toString();
      return new ModelFormatException(file, key + " is " + found + "; supported: " + supported);
    }
  }
}
