package dev.sarathi.runtime.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

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

  private String fingerprint() {
    try (Model model = Model.open(directory)) {
      return model.fingerprint();
    }
  }
}
