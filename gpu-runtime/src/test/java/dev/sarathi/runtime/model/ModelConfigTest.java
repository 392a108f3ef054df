package dev.sarathi.runtime.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalInt;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelConfigTest {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final Path LLAMA3 = Path.of("src/test/resources/golden/llama3/config.json");

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
        "architectures | [\"GPT2LMHeadModel\"] | one of [LlamaForCausalLM]",
        "architectures | [] | one of",
        "architectures | null | one of",
        "hidden_act | \"gelu\" | silu",
        "attention_bias | true | false",
        "mlp_bias | true | false",
        "mlp_bias | \"no\" | true or false",
        "sliding_window | 4096 | null",
        "quantization_config | {\"bits\": 4} | null",
        "partial_rotary_factor | 0.5 | 1",
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
