package dev.sarathi.runtime.execute.cpu;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;

/** A prompt with what Hugging Face transformers makes of it. */
@JsonIgnoreProperties(ignoreUnknown = true)
record Golden(int[] prompt, float[] logits, int[] greedy) {

  static final Path LLAMA2 = Path.of("src/test/resources/golden/llama2");
  static final Path LLAMA3 = Path.of("src/test/resources/golden/llama3");
  static final Path STORYTELLER = Path.of("../models/storyteller");

  @JsonIgnoreProperties(ignoreUnknown = true)
  private record Story(@JsonProperty("prompt_ids") int[] promptIds, int[] greedy) {}

  static List<Golden> read(final Path model) {
    final JsonMapper mapper = JsonMapper.builder().build();
    try {
      if (model.equals(STORYTELLER)) {
        final Story[] stories =
            mapper.readValue(model.resolve("golden.json").toFile(), Story[].class);
        return List.of(stories).stream()
            .map(s -> new Golden(s.promptIds(), new float[0], s.greedy()))
            .toList();
      }
      return List.of(mapper.readValue(model.resolve("golden.json").toFile(), Golden[].class));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
