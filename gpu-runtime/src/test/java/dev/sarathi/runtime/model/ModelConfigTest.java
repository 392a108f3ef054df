package dev.sarathi.runtime.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelConfigTest {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final Path GOLDEN = Path.of("src/test/resources/golden");
  private static final Path LLAMA3 = GOLDEN.resolve("llama3").resolve("config.json");

  @TempDir private Path directory;
  private ObjectNode json;

  @BeforeEach
  void read() throws IOException {
    json = (ObjectNode) MAPPER.readTree(LLAMA3.toFile());
  }

  @Test
  void shouldReadTheOlderSpelling() {
    assertThat(ModelConfig.read(LLAMA3))
        .isEqualTo(
            new ModelConfig(
                new Llama(false, false),
                256,
                64,
                176,
                3,
                4,
                2,
                16,
                1e-5f,
                1024,
                new Rope.Llama3(500_000, 8, 1, 4, 64),
                true,
                OptionalInt.of(1),
                java.util.Set.of(2)));
  }

  @Test
  void shouldReadTheNewerSpelling() {
    final ModelConfig config = ModelConfig.read(Path.of("../models/storyteller/config.json"));
    assertThat(config.rope()).isEqualTo(new Rope.Plain(10_000));
    assertThat(config.maxPositions()).isEqualTo(4096);
  }

  @Test
  void shouldReadEverySpellingOfTheRope() {
    assertThat(rope("{\"type\": \"linear\", \"factor\": 2}"))
        .isEqualTo(new Rope.Linear(500_000, 2));
    assertThat(rope("{\"rope_type\": \"default\"}")).isEqualTo(new Rope.Plain(500_000));
    assertThat(rope("null")).isEqualTo(new Rope.Plain(500_000));
    json.remove("rope_theta");
    assertThat(rope("null")).isEqualTo(new Rope.Plain(10_000));
    set("rope_parameters", "{\"rope_theta\": 7, \"rope_type\": \"linear\", \"factor\": 4.0}");
    assertThat(config().rope()).isEqualTo(new Rope.Linear(7, 4));
  }

  @Test
  void shouldScaleFrequencies() {
    assertThat(new Rope.Plain(10_000).inverseFrequencies(4)).containsExactly(1, 0.01f);
    assertThat(new Rope.Linear(10_000, 4).inverseFrequencies(4)).containsExactly(0.25f, 0.0025f);
    final float[] llama3 = new Rope.Llama3(10_000, 8, 1, 4, 100).inverseFrequencies(8);
    assertThat(llama3[0]).isEqualTo(1); // a wavelength of 6 of 100 positions
    // 63 positions: between 25 and 100
    final double smooth = (100 / (2 * Math.PI / 0.1) - 1) / 3;
    assertThat(llama3[1]).isCloseTo((float) (0.1 * (smooth + (1 - smooth) / 8)), within(1e-7f));
    assertThat(llama3[3]).isEqualTo(0.001f / 8); // 6,283 positions
  }

  @Test
  void shouldFillWhatMayBeMissing() {
    json.remove("head_dim");
    json.remove("num_key_value_heads");
    json.remove("tie_word_embeddings");
    json.remove("hidden_act");
    json.putNull("bos_token_id");
    final ModelConfig config = config();
    assertThat(config.headDim()).isEqualTo(16);
    assertThat(config.kvHeads()).isEqualTo(4);
    assertThat(config.tiedEmbeddings()).isFalse();
    assertThat(config.bosToken()).isEmpty();
  }

  @Test
  void shouldPreferTheEndTokensOfTheGenerationConfig() throws IOException {
    set("eos_token_id", "[3, 4]");
    assertThat(config().eosTokens()).containsExactlyInAnyOrder(3, 4);
    final Path generation = directory.resolve("generation_config.json");
    Files.writeString(generation, "{\"eos_token_id\": [5, 6, 7]}");
    assertThat(config().eosTokens()).containsExactlyInAnyOrder(5, 6, 7);
    Files.writeString(generation, "{\"eos_token_id\": 8}");
    assertThat(config().eosTokens()).containsExactly(8);
    Files.writeString(generation, "{}");
    assertThat(config().eosTokens()).containsExactlyInAnyOrder(3, 4);
    Files.writeString(generation, "{\"eos_token_id\": 256}");
    assertThatThrownBy(this::config)
        .isInstanceOf(ModelFormatException.class)
        .hasMessageEndingWith(
            "generation_config.json: eos_token_id is 256; supported: token ids from 0 to 255");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\0',
      value = {
        "architectures | [\"MixtralForCausalLM\"] | one of [FalconForCausalLM, LlamaForCausalLM, ",
        "architectures | [\"LlamaForCausalLM\", \"LlamaForCausalLM\"] | one of",
        "architectures | [] | one of",
        "architectures | null | one of",
        "hidden_act | \"gelu\" | silu",
        "attention_bias | 1 | true or false",
        "mlp_bias | \"no\" | true or false",
        "sliding_window | 4096 | null",
        "quantization_config | {\"bits\": 4} | null",
        "partial_rotary_factor | 0.5 | 1",
        "rotary_pct | 0.25 | 1",
        "use_sliding_window | true | false",
        "layer_types | [\"full_attention\", \"sliding_attention\", \"full_attention\"] | full_att",
        "layer_types | [\"full_attention\"] | a list of num_hidden_layers, which is 3",
        "alibi | true | false",
        "num_experts | 8 | null",
        "num_local_experts | 8 | null",
        "n_routed_experts | 64 | null",
        "attn_logit_softcapping | 50.0 | null",
        "final_logit_softcapping | 30.0 | null",
        "logits_scaling | 8.0 | null",
        "embedding_multiplier | 12 | null",
        "no_rope_layers | [1, 0] | null",
        "use_qk_norm | true | false",
        "is_encoder_decoder | true | false",
        "vocab_size | 0 | an integer from 1",
        "vocab_size | -1 | an integer from 1",
        "vocab_size | 99999999999 | an integer from 1",
        "vocab_size | 1000000000 | an integer from 1",
        "vocab_size | \"256\" | an integer from 1",
        "vocab_size | 256.5 | an integer from 1",
        "hidden_size | 2147483647 | an integer from 1",
        "intermediate_size | 0 | an integer from 1",
        "num_hidden_layers | 100000 | an integer from 1",
        "num_attention_heads | 0 | an integer from 1",
        "num_key_value_heads | 3 | a divisor of num_attention_heads, which is 4",
        "num_key_value_heads | 8 | a divisor",
        "head_dim | 15 | an even number",
        "head_dim | 100000 | an integer from 1",
        "max_position_embeddings | null | an integer from 1",
        "rms_norm_eps | 0 | a number from",
        "rms_norm_eps | -1e-5 | a number from",
        "rms_norm_eps | \"NaN\" | a number from",
        "rope_theta | 0 | a number from",
        "rope_theta | 1e300 | a number from",
        "rope_scaling | 3 | an object",
        "rope_scaling | {\"rope_type\": \"yarn\", \"factor\": 4} | rope_type default, linear or",
        "rope_scaling | {\"type\": \"dynamic\", \"factor\": 4} | rope_type default, linear or",
        "rope_scaling | {\"rope_type\": \"longrope\"} | rope_type default, linear or",
        "rope_scaling | {\"type\": \"default\", \"mrope_section\": [2, 3, 3]} | the keys [factor, ",
        "rope_scaling | {\"full_attention\": {\"rope_theta\": 10000}} | the keys [factor, ",
        "rope_scaling | {\"type\": \"default\", \"partial_rotary_factor\": 0.5} | partial_rotary_factor 1",
        "bos_token_id | 256 | token ids from 0 to 255",
        "eos_token_id | [2, -1] | token ids from 0 to 255",
        "eos_token_id | \"2\" | token ids from 0 to 255",
      })
  void shouldNameWhatIsNotSupported(String key, String value, String supported) {
    set(key, value);
    assertThatThrownBy(this::config)
        .isInstanceOf(ModelFormatException.class)
        .hasMessageStartingWith(directory.resolve("config.json") + ": " + key + " is ")
        .hasMessageContaining("; supported: " + supported);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\0',
      value = {
        "{\"rope_type\": \"linear\"} | factor is missing",
        "{\"rope_type\": \"linear\", \"factor\": 0} | factor is 0",
        "{\"rope_type\": \"llama3\", \"factor\": 8} | low_freq_factor is missing",
        "{\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4,"
            + " \"high_freq_factor\": 4} | above low_freq_factor",
      })
  void shouldNameWhatARopeLacks(final String rope, final String problem) {
    set("rope_scaling", rope);
    assertThatThrownBy(this::config)
        .isInstanceOf(ModelFormatException.class)
        .hasMessageContaining(problem);
  }

  @Test
  void shouldRefuseARopeThatIsSpelledInTwoWays() {
    set("rope_parameters", "{\"rope_type\": \"linear\", \"factor\": 2}");
    assertThatThrownBy(this::config)
        .hasMessageContaining("rope_scaling is {")
        .hasMessageEndingWith("supported: null where rope_parameters is given");
  }

  @ParameterizedTest
  @MethodSource("families")
  void shouldReadBothSpellingsOfEveryFamilyAlike(final Path family) {
    assertThat(ModelConfig.read(family.resolve("config-transformers4.json")))
        .isEqualTo(ModelConfig.read(family.resolve("config.json")));
  }

  static List<Path> families() throws IOException {
    try (Stream<Path> directories = Files.list(GOLDEN)) {
      return directories
          .filter(directory -> Files.exists(directory.resolve("config-transformers4.json")))
          .sorted()
          .toList();
    }
  }

  @Test
  void shouldReadWhatAFamilyAdds() {
    assertThat(read("llama-linear").architecture()).isEqualTo(new Llama(true, true));
    assertThat(read("llama-linear").rope()).isEqualTo(new Rope.Linear(10_000, 2.5f));
    assertThat(read("mistral-window").architecture())
        .isEqualTo(new Mistral(List.of(OptionalInt.of(21), OptionalInt.of(21))));
    assertThat(read("mistral-full").architecture())
        .isEqualTo(new Mistral(List.of(OptionalInt.empty(), OptionalInt.empty())));
    assertThat(read("qwen2-window").architecture())
        .isEqualTo(new Qwen2(List.of(OptionalInt.empty(), OptionalInt.of(20))));
    assertThat(read("qwen3-bias").architecture())
        .isEqualTo(new Qwen3(true, List.of(OptionalInt.of(7), OptionalInt.empty())));
    assertThat(read("falcon180b").architecture())
        .isEqualTo(new Falcon(Falcon.Order.PARALLEL_TWO_NORMS, false));
    assertThat(read("falcon7b").kvHeads()).isEqualTo(1);
    assertThat(read("falcon7b").intermediateSize()).isEqualTo(128);
    assertThat(read("falcon-sequential").kvHeads()).isEqualTo(4);
  }

  @Test
  void shouldTakeWhatTransformersTakesForAbsentKeys() throws IOException {
    given("falcon7b");
    List.of(
            "max_position_embeddings",
            "alibi",
            "bias",
            "parallel_attn",
            "multi_query",
            "new_decoder_architecture",
            "rope_parameters",
            "tie_word_embeddings",
            "ffn_hidden_size",
            "num_kv_heads")
        .forEach(json::remove);
    assertThat(config())
        .returns(2048, ModelConfig::maxPositions)
        .returns(1, ModelConfig::kvHeads)
        .returns(true, ModelConfig::tiedEmbeddings)
        .returns(new Falcon(Falcon.Order.PARALLEL_ONE_NORM, false), ModelConfig::architecture);
    given("qwen2-window");
    List.of("layer_types", "sliding_window", "max_window_layers").forEach(json::remove);
    json.put("num_hidden_layers", 30);
    assertThat(((Qwen2) config().architecture()).windows())
        .startsWith(OptionalInt.empty())
        .endsWith(OptionalInt.empty(), OptionalInt.of(4096), OptionalInt.of(4096));
    json.put("max_window_layers", 0);
    assertThat(((Qwen2) config().architecture()).windows()).containsOnly(OptionalInt.of(4096));
    json.put("use_sliding_window", false);
    assertThat(((Qwen2) config().architecture()).windows()).containsOnly(OptionalInt.empty());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\0',
      value = {
        "falcon7b | alibi | true | false",
        "falcon7b | activation | \"gelu_new\" | gelu",
        "falcon7b | activation | \"relu\" | gelu",
        "falcon7b | num_ln_in_parallel_attn | 2 | 1 where new_decoder_architecture is false",
        "falcon7b | sliding_window | 64 | null",
        "falcon7b | head_dim | 16 | null",
        "falcon7b | n_head | 5 | ",
        "falcon7b | apply_residual_connection_post_layernorm | true | false",
        "falcon180b | parallel_attn | false | true where new_decoder_architecture is true",
        "falcon180b | num_ln_in_parallel_attn | 3 | an integer from 1 to 2",
        "falcon180b | num_kv_heads | 3 | a divisor of num_attention_heads, which is 4",
        "falcon180b | layer_norm_epsilon | null | a number from",
        "falcon-sequential | num_kv_heads | 2 | 4, the number of heads, where multi_query is false",
        "mistral | attention_bias | true | false",
        "mistral | sliding_window | 0 | an integer from 1",
        "mistral | layer_types | [\"full_attention\", \"full_attention\", \"full_attention\"] | sli",
        "mistral | layer_types | [\"chunked_attention\"] | full_attention and sliding_attention",
        "mistral-full | layer_types | [\"sliding_attention\", \"full_attention\"] | full_attention",
        "qwen2 | attention_bias | false | true",
        "qwen2 | layer_types | [\"sliding_attention\", \"full_attention\"] | full_attention alone",
        "qwen2 | quantization_config | {\"bits\": 4} | null",
        "qwen3 | head_dim | null | an integer from 1",
        "qwen3 | num_experts | 128 | null",
        "qwen3 | hidden_act | \"gelu\" | silu",
      })
  void shouldNameWhatIsNotSupportedInAFamily(
      final String family, final String key, final String value, final String supported)
      throws IOException {
    given(family);
    set(key, value);
    assertThatThrownBy(this::config)
        .isInstanceOf(ModelFormatException.class)
        .hasMessageContaining("config.json: ")
        .hasMessageContaining(key.equals("n_head") ? "num_attention_heads is 4" : key + " is ")
        .hasMessageContaining("; supported: " + (supported == null ? "" : supported));
  }

  private static ModelConfig read(final String family) {
    return ModelConfig.read(GOLDEN.resolve(family).resolve("config.json"));
  }

  private void given(final String family) throws IOException {
    json = (ObjectNode) MAPPER.readTree(GOLDEN.resolve(family).resolve("config.json").toFile());
  }

  @Test
  void shouldRefuseHeadsThatDoNotDivideTheHiddenSize() {
    json.remove("head_dim");
    json.put("hidden_size", 66);
    assertThatThrownBy(this::config)
        .hasMessageContaining("hidden_size is 66; supported: an even multiple");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "[]", "{", "{\"a\": 1, \"a\": 2}", "{}"})
  void shouldRefuseAFileThatIsNoConfiguration(final String text) throws IOException {
    final Path file = directory.resolve("config.json");
    Files.writeString(file, text);
    assertThatThrownBy(() -> ModelConfig.read(file))
        .isInstanceOf(ModelFormatException.class)
        .hasMessageContaining(file.toString());
    Files.delete(file);
    assertThatThrownBy(() -> ModelConfig.read(file)).hasMessageEndingWith("no such file");
  }

  private Rope rope(final String scaling) {
    set("rope_scaling", scaling);
    return config().rope();
  }

  private void set(String key, String value) {
    try {
      json.set(key, MAPPER.readTree(value));
    } catch (IOException e) {
      throw new IllegalArgumentException(value, e);
    }
  }

  private ModelConfig config() {
    final Path file = directory.resolve("config.json");
    try {
      MAPPER.writeValue(file.toFile(), json);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
    return ModelConfig.read(file);
  }
}
