package dev.sarathi.runtime.model;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** Reads a JSON object from a file, with the file's name in every error. */
final class Json {
  /** Far above any real configuration or shard index. */
  private static final long MAX_BYTES = 100L << 20;

  private static final ObjectMapper MAPPER =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private Json() {}

  static ObjectNode read(final Path file) {
    try {
      final long size = Files.size(file);
      if (size > MAX_BYTES) {
        throw new ModelFormatException(
            file, size + " bytes; a JSON file of a model has at most " + MAX_BYTES);
      }
      return parse(file, Files.readAllBytes(file));
    } catch (NoSuchFileException e) {
      throw new ModelFormatException(file, "no such file", e);
    } catch (IOException e) {
      throw new ModelFormatException(file, "cannot be read: " + e, e);
    }
  }

  static ObjectNode parse(final Path file, final byte[] bytes) {
    JsonNode node;
    try {
      node = MAPPER.readTree(bytes);
    } catch (JsonProcessingException e) {
      throw new ModelFormatException(
          file,
          "not valid JSON: "
              + e.getOriginalMessage()
              + " at byte "
              + e.getLocation().getByteOffset(),
          e);
    } catch (IOException e) {
      throw new ModelFormatException(file, "not valid JSON: " + e, e);
    }
    if (node instanceof ObjectNode object) {
      return object;
    }
    throw new ModelFormatException(file, "not a JSON object");
  }
}
