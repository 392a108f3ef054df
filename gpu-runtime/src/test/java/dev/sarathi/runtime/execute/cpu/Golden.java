package dev.sarathi.runtime.execute.cpu;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** A prompt with what Hugging Face transformers makes of it. */
@JsonIgnoreProperties(ignoreUnknown = true)
public record Golden(int[] prompt, float[] logits, int[] greedy) {

  private static final Path FAMILIES = Path.of("src/test/resources/golden");
  static final Path LLAMA2 = FAMILIES.resolve("llama2");
  static final Path LLAMA3 = FAMILIES.resolve("llama3");
  static final Path FALCON_SEQUENTIAL = FAMILIES.resolve("falcon-sequential");
  static final Path STORYTELLER = Path.of("../models/storyteller");

  @JsonIgnoreProperties(ignoreUnknown = true)
  private record Story(@JsonProperty("prompt_ids") int[] promptIds, int[] greedy) {}

  /** A small random model of every family and variant, in order of their names. */
  public static List<Path> families() {
    try (Stream<Path> directories = Files.list(FAMILIES)) {
      return directories.sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public static List<Golden> read(final Path model) {
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
