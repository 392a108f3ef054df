package dev.sarathi.runtime.model;

import static java.nio.file.StandardCopyOption.REPLACE_EXISTING;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ModelTest {
  @TempDir private Path directory;

  @BeforeEach
  void copy() throws IOException {
    final Path source = Path.of("../models/storyteller");
    for (String name : new String[] {"config.json", "tokenizer.json", "model.safetensors"}) {
      Files.copy(source.resolve(name), directory.resolve(name));
    }
  }

  @Test
  void shouldFindEveryWeight() {
    try (Model model = Model.open(directory)) {
      assertThat(model.weights().layers()).hasSize(5);
      assertThat(model.weights().head()).isSameAs(model.weights().embedding());
      assertThat(model.weights().layers().get(4).feedForward().down().weight().shape())
          .containsExactly(128L, 384L);
      assertThat(model.directory()).isEqualTo(directory);
    }
  }

  @Test
  void shouldChangeItsFingerprintWithEveryFileThatMatters() throws IOException {
    final String original = fingerprint();
    assertThat(original).matches("[0-9a-f]{64}").isEqualTo(fingerprint());
    for (String name : new String[] {"config.json", "tokenizer.json", "model.safetensors"}) {
      final byte[] bytes = Files.readAllBytes(directory.resolve(name));
      byte[] changed = bytes.clone();
      if (name.endsWith(".json")) {
        changed = Arrays.copyOf(bytes, bytes.length + 1);
        changed[bytes.length] = '\n';
      } else {
        changed[bytes.length - 1] ^= 1;
      }
      Files.write(directory.resolve(name), changed);
      assertThat(fingerprint()).as(name).isNotEqualTo(original);
      Files.write(directory.resolve(name), bytes);
    }
    assertThat(fingerprint()).isEqualTo(original);
    Files.delete(directory.resolve("tokenizer.json"));
    assertThat(fingerprint()).isNotEqualTo(original);
  }

  @Test
  void shouldRefuseWeightsThatAreNotThoseOfTheConfiguration() throws IOException {
    final Path file = directory.resolve("config.json");
    final String config = Files.readString(file);
    Files.writeString(file, config.replace("\"num_hidden_layers\": 5", "\"num_hidden_layers\": 6"));
    assertThatThrownBy(() -> Model.open(directory))
        .isInstanceOf(ModelFormatException.class)
        .hasMessageContaining("no tensor model.layers.5.input_layernorm.weight");
    Files.writeString(file, config.replace("\"vocab_size\": 898", "\"vocab_size\": 900"));
    assertThatThrownBy(() -> Model.open(directory))
        .isInstanceOf(ModelFormatException.class)
        .hasMessageContaining("has shape [898, 128]; config.json makes it [900, 128]");
  }

  @ParameterizedTest
  @CsvSource({
    "llama-linear, num_hidden_layers, 3, no tensor model.layers.2.input_layernorm.weight",
    "llama2, attention_bias, true, no tensor model.layers.0.self_attn.q_proj.bias",
    "llama2, mlp_bias, true, no tensor model.layers.0.mlp.gate_proj.bias",
    "llama3, tie_word_embeddings, false, no tensor lm_head.weight",
    "mistral, num_key_value_heads, 4, 'self_attn.k_proj.weight has shape [32, 64]'",
    "mistral-window, head_dim, 16, 'q_proj.weight has shape [48, 32]; config.json makes it [64, 32]'",
    "qwen2, intermediate_size, 64, 'gate_proj.weight has shape [48, 32]'",
    "qwen3, attention_bias, true, no tensor model.layers.0.self_attn.q_proj.bias",
    "qwen3, head_dim, 8, 'q_proj.weight has shape [64, 32]'",
    "falcon7b, bias, true, no tensor transformer.h.0.self_attention.query_key_value.bias",
    "falcon7b, parallel_attn, false, no tensor transformer.h.0.post_attention_layernorm.weight",
    "falcon7b, multi_query, false, query_key_value.weight has shape",
    "falcon180b, num_ln_in_parallel_attn, 1, no tensor transformer.h.0.input_layernorm.weight",
    "falcon180b, num_kv_heads, 4, query_key_value.weight has shape",
    "falcon40b-one-norm, num_ln_in_parallel_attn, 2, no tensor transformer.h.0.ln_mlp.weight",
  })
  void shouldNameTheWeightThatAFamilyLacks(
      final String family, final String key, final String value, final String problem)
      throws IOException {
    final Path golden = Path.of("src/test/resources/golden", family);
    final ObjectMapper mapper = new ObjectMapper();
    final ObjectNode config = (ObjectNode) mapper.readTree(golden.resolve("config.json").toFile());
    config.set(key, mapper.readTree(value));
    Files.delete(directory.resolve("model.safetensors"));
    try (Stream<Path> files = Files.list(golden)) {
      for (final Path file : files.toList()) {
        Files.copy(file, directory.resolve(file.getFileName()), REPLACE_EXISTING);
      }
    }
    mapper.writeValue(directory.resolve("config.json").toFile(), config);
    assertThatThrownBy(() -> Model.open(directory))
        .isInstanceOf(ModelFormatException.class)
        .hasMessageStartingWith(directory + ": ")
        .hasMessageContaining(problem);
  }

  private String fingerprint() {
    try (Model model = Model.open(directory)) {
      return model.fingerprint();
    }
  }
}
