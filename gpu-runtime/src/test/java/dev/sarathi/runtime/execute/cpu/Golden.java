package dev.sarathi.runtime.execute.cpu;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** A prompt with what Hugging Face transformers makes of it. */
@JsonIgnoreProperties(ignoreUnknown = true)
public record Golden(int[] prompt, float[] logits, int[] greedy) {

  private static final Path FAMILIES = Path.of("src/test/resources/golden");
  public static final Path LLAMA2 = FAMILIES.resolve("llama2");
  public static final Path LLAMA3 = FAMILIES.resolve("llama3");
  public static final Path FALCON_SEQUENTIAL = FAMILIES.resolve("falcon-sequential");
  public static final Path STORYTELLER = Path.of("../models/storyteller");

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

  /** Copies a model and overwrites some floats of one of its tensors. */
  public static void poison(
      final Path from,
      final Path to,
      final String tensor,
      final int index,
      final int count,
      final float value)
      throws IOException {
    Files.copy(from.resolve("config.json"), to.resolve("config.json"));
    final byte[] safetensors = Files.readAllBytes(from.resolve("model.safetensors"));
    final ByteBuffer buffer = ByteBuffer.wrap(safetensors).order(ByteOrder.LITTLE_ENDIAN);
    final int length = Math.toIntExact(buffer.getLong(0));
    final String header = new String(safetensors, 8, length, StandardCharsets.UTF_8);
    String offsets = header.substring(header.indexOf('"' + tensor + '"'));
    offsets = offsets.substring(offsets.indexOf("data_offsets"));
    final int begin =
        Integer.parseInt(offsets.substring(offsets.indexOf('[') + 1, offsets.indexOf(',')));
    for (int i = index; i < index + count; i++) {
      buffer.putFloat(8 + length + begin + i * 4, value);
    }
    Files.write(to.resolve("model.safetensors"), safetensors);
  }
}
