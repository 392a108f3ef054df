package dev.sarathi.runtime.benchmark.gpu;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** A small model with what Hugging Face's transformers make of some prompts. */
record ReferenceModel(Path directory, List<Reference> references) {
  private static final String MODELS = "golden";
  private static final String ERRORS = "golden-bf16.json";

  /**
   * A prompt.
   *
   * @param logits after it, computed in float
   * @param greedy the tokens that follow
   * @param bf16Error how far transformers, computing in bfloat16, are from {@code logits}: the norm
   *     of the difference over the norm
   */
  record Reference(int[] prompt, float[] logits, int[] greedy, double bf16Error) {}

  @JsonIgnoreProperties(ignoreUnknown = true)
  private record Golden(int[] prompt, float[] logits, int[] greedy) {}

  ReferenceModel {
    references = List.copyOf(references);
  }

  String name() {
    return directory.getFileName().toString();
  }

  /** How many tokens of each prompt's continuation are known. */
  int tokens() {
    return references.getFirst().greedy().length;
  }

  /**
   * All of a folder, in order of their names.
   *
   * @param folder has models in {@code golden}, and their errors in bfloat16 in {@code
   *     golden-bf16.json}
   * @param longestPrompt those with more tokens are left out
   */
  static List<ReferenceModel> in(final Path folder, final int longestPrompt) {
    final JsonMapper mapper = new JsonMapper();
    try (Stream<Path> directories = Files.list(folder.resolve(MODELS))) {
      final JsonNode errors = mapper.readTree(folder.resolve(ERRORS).toFile());
      final List<ReferenceModel> models = new ArrayList<>();
      for (final Path directory : directories.filter(Files::isDirectory).sorted().toList()) {
        final Golden[] goldens =
            mapper.readValue(directory.resolve("golden.json").toFile(), Golden[].class);
        final JsonNode of = errors.path(directory.getFileName().toString());
        final List<Reference> references = new ArrayList<>();
        for (int i = 0; i < goldens.length; i++) {
          if (goldens[i].prompt.length <= longestPrompt) {
            references.add(
                new Reference(
                    goldens[i].prompt,
                    goldens[i].logits,
                    goldens[i].greedy,
                    of.required(i).asDouble()));
          }
        }
        models.add(new ReferenceModel(directory, references));
      }
      return models;
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
