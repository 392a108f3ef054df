package dev.sarathi.runtime.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;

/**
 * A {@code config.json}, key by key: every value is checked before it is used, and every refusal
 * names the key, its value and what is supported. Reads the spelling of transformers 4 and that of
 * transformers 5.
 */
final class ConfigFile {
  // Far above every published model.
  static final int MAX_WIDTH = 1 << 20;
  static final int MAX_HEADS = 1 << 10;
  static final int MAX_HEAD_DIM = 1 << 10;
  static final int MAX_LAYERS = 1 << 10;
  static final int MAX_VOCABULARY = 1 << 22;
  static final int MAX_POSITIONS = 1 << 26;

  /** Keys of other families that would change the computation, whatever their value. */
  private static final List<String> FOREIGN =
      List.of(
          "quantization_config",
          "compression_config",
          "num_experts",
          "num_local_experts",
          "n_routed_experts",
          "num_experts_per_tok",
          "moe_intermediate_size",
          "attn_logit_softcapping",
          "final_logit_softcapping",
          "query_pre_attn_scalar",
          "logit_scale",
          "logits_scaling",
          "embedding_multiplier",
          "residual_multiplier",
          "attention_multiplier",
          "attention_chunk_size",
          "dual_chunk_attention_config",
          "no_rope_layers",
          "no_rope_layer_interval",
          "clip_qkv",
          "mrope_section",
          "vision_config",
          "audio_config");

  /** Switches of other families, which must be off. */
  private static final List<String> FOREIGN_SWITCHES =
      List.of(
          "alibi",
          "is_encoder_decoder",
          "add_cross_attention",
          "apply_residual_connection_post_layernorm",
          "use_parallel_residual",
          "use_qk_norm",
          "qk_layernorm",
          "use_mrope",
          "rope_interleaved",
          "rope_interleave");

  private static final Set<String> ROPE_KEYS =
      Set.of(
          "rope_type",
          "type",
          "rope_theta",
          "factor",
          "low_freq_factor",
          "high_freq_factor",
          "original_max_position_embeddings",
          "partial_rotary_factor");

  private final Path file;
  private final ObjectNode root;

  private ConfigFile(final Path file, final ObjectNode root) {
    this.file = file;
    this.root = root;
  }

  static ConfigFile read(final Path file) {
    return new ConfigFile(file, Json.read(file));
  }

  /** Refuses what no supported family has. */
  void refuseForeign() {
    FOREIGN.forEach(this::refuse);
    FOREIGN_SWITCHES.forEach(key -> require(key, false));
    for (final String key : List.of("partial_rotary_factor", "rotary_pct")) {
      if (has(key) && root.get(key).asDouble() != 1) {
        throw refusal(key, "1");
      }
    }
  }

  /** Refuses a key that has a value. */
  void refuse(final String key) {
    if (has(key)) {
      throw refusal(key, "null");
    }
  }

  /** Refuses a switch that is set the other way; absent it is as required. */
  void require(final String key, final boolean value) {
    if (bool(key, value) != value) {
      throw refusal(key, String.valueOf(value));
    }
  }

  /** Refuses any other text; absent it is as required. */
  void require(final String key, final String value) {
    if (has(key) && !root.get(key).asText().equals(value)) {
      throw refusal(key, value);
    }
  }

  /** Refuses any other number; absent it is as required. */
  void require(final String key, final int value, final String supported) {
    if (has(key) && !(root.get(key).isIntegralNumber() && root.get(key).asLong() == value)) {
      throw refusal(key, supported);
    }
  }

  /** The one element of a list, or a refusal unless it is one of these. */
  String oneOf(final String key, final Collection<String> supported) {
    final JsonNode names = root.path(key);
    if (names.size() != 1 || !supported.contains(names.path(0).asText())) {
      throw refusal(key, "one of " + supported);
    }
    return names.get(0).asText();
  }

  boolean has(final String key) {
    return root.hasNonNull(key);
  }

  boolean isZero(final String key) {
    return root.path(key).isIntegralNumber() && root.get(key).asLong() == 0;
  }

  boolean bool(final String key, final boolean absent) {
    if (has(key) && !root.get(key).isBoolean()) {
      throw refusal(key, "true or false");
    }
    return root.path(key).asBoolean(absent);
  }

  int integer(final String key, final int max) {
    return integer(root, key, max);
  }

  int integer(final String key, final int max, final int absent) {
    return has(key) ? integer(key, max) : absent;
  }

  /** A number that has an older name too; both may be given if they agree. */
  int renamed(final String key, final String older, final int max) {
    if (!has(older)) {
      return integer(key, max);
    }
    final int value = integer(older, max);
    if (integer(key, max, value) != value) {
      throw refusal(key, "the value of " + older + ", which is " + value);
    }
    return value;
  }

  float real(final String key, final double min, final double max) {
    return real(root, key, min, max);
  }

  /**
   * Key and value heads.
   *
   * @param heads the query heads, as many as there are where the key is null
   */
  int kvHeads(final int heads) {
    final int kvHeads = integer("num_key_value_heads", MAX_HEADS, heads);
    if (heads % kvHeads != 0) {
      throw refusal("num_key_value_heads", "a divisor of num_attention_heads, which is " + heads);
    }
    return kvHeads;
  }

  int headDim(final int hidden, final int heads) {
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

  /** {@code rope_theta} and {@code rope_scaling} in transformers 4, one object in 5. */
  Rope rope() {
    final boolean newer = has("rope_parameters");
    if (newer
        && has("rope_scaling")
        && !root.get("rope_scaling").equals(root.get("rope_parameters"))) {
      throw refusal("rope_scaling", "null where rope_parameters is given");
    }
    final String key = newer ? "rope_parameters" : "rope_scaling";
    if (!has(key)) {
      return new Rope.Plain(theta(root));
    }
    final JsonNode rope = root.get(key);
    if (!rope.isObject()) {
      throw refusal(key, "an object");
    }
    for (final Map.Entry<String, JsonNode> entry : rope.properties()) {
      if (!ROPE_KEYS.contains(entry.getKey()) && !entry.getValue().isNull()) {
        throw refusal(key, "the keys " + new TreeSet<>(ROPE_KEYS));
      }
    }
    if (rope.hasNonNull("partial_rotary_factor")
        && rope.get("partial_rotary_factor").asDouble() != 1) {
      throw refusal(key, "partial_rotary_factor 1");
    }
    final float theta = theta(rope.hasNonNull("rope_theta") ? rope : root);
    final String type =
        rope.path(rope.hasNonNull("rope_type") ? "rope_type" : "type").asText("default");
    return switch (type) {
      case "default" -> new Rope.Plain(theta);
      case "linear" -> new Rope.Linear(theta, factor(rope, "factor"));
      case "llama3" -> llama3(key, rope, theta);
      default -> throw refusal(key, "rope_type default, linear or llama3");
    };
  }

  private Rope llama3(final String key, final JsonNode rope, final float theta) {
    final float low = factor(rope, "low_freq_factor");
    final float high = factor(rope, "high_freq_factor");
    if (high <= low) {
      throw refusal(key, "a high_freq_factor above low_freq_factor");
    }
    final String original = "original_max_position_embeddings";
    final int positions = integer(rope, original, MAX_POSITIONS);
    require(original, positions, "the value in " + key + ", which is " + positions);
    return new Rope.Llama3(theta, factor(rope, "factor"), low, high, positions);
  }

  private float theta(final JsonNode node) {
    // Configurations older than the key mean what the first models were trained with.
    return node.hasNonNull("rope_theta") ? real(node, "rope_theta", 1, 1e12) : 10_000;
  }

  private float factor(final JsonNode node, final String key) {
    return real(node, key, 1e-3, 1e6);
  }

  /** Refuses layers that do not see their whole past. */
  void requireFullAttention(final int layers) {
    refuse("sliding_window");
    require("use_sliding_window", false);
    slidingLayers(layers, OptionalInt.empty());
  }

  /**
   * The window of each layer.
   *
   * @param window of the layers that slide; empty if none may
   * @param firstSliding the first layer that slides where {@code layer_types} does not say it
   */
  List<OptionalInt> windows(final int layers, final OptionalInt window, final int firstSliding) {
    if (!has("layer_types")) {
      return IntStream.range(0, layers)
          .mapToObj(layer -> layer >= firstSliding ? window : OptionalInt.empty())
          .toList();
    }
    return slidingLayers(layers, window).stream()
        .map(slides -> slides ? window : OptionalInt.empty())
        .toList();
  }

  private List<Boolean> slidingLayers(final int layers, final OptionalInt window) {
    final List<Boolean> sliding = new ArrayList<>();
    for (final JsonNode type : root.path("layer_types")) {
      final boolean slides = type.asText().equals("sliding_attention");
      if (slides ? window.isEmpty() : !type.asText().equals("full_attention")) {
        throw refusal(
            "layer_types",
            "full_attention" + (window.isPresent() ? " and sliding_attention" : " alone"));
      }
      sliding.add(slides);
    }
    if (has("layer_types") && sliding.size() != layers) {
      throw refusal("layer_types", "a list of num_hidden_layers, which is " + layers);
    }
    return sliding;
  }

  OptionalInt bos(final int vocabulary) {
    final List<Integer> ids = tokens(file, root, "bos_token_id", vocabulary);
    return ids.isEmpty() ? OptionalInt.empty() : OptionalInt.of(ids.getFirst());
  }

  Set<Integer> eos(final int vocabulary) {
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
    for (final JsonNode id : value.isArray() ? value : List.of(value)) {
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

  ModelFormatException refusal(final String key, final String supported) {
    return refusal(file, key, root.path(key), supported);
  }

  private static ModelFormatException refusal(
      final Path file, final String key, final JsonNode value, final String supported) {
    final String found = value.isMissingNode() ? "missing" : value.toString();
    return new ModelFormatException(file, key + " is " + found + "; supported: " + supported);
  }
}
