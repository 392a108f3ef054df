package dev.sarathi.runtime.model;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Reads a JSON object from a file, with the file's name in every error. */
final class Json {
  /**
   * Far above any real configuration, shard index or header, of which the longest have some
   * megabytes. As a tree, JSON can take twenty-five times its length.
   */
  static final long MAX_BYTES = 32L << 20;

  private static final ObjectMapper MAPPER =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private Json() {}

  static ObjectNode read(final Path file) {
    final long size = RegularFile.size(file);
    if (size > MAX_BYTES) {
      throw new ModelFormatException(
          file, size + " bytes; a JSON file of a model has at most " + MAX_BYTES);
    }
    try {
      return parse(file, Files.readAllBytes(file));
    } catch (final IOException e) {
      throw new ModelFormatException(file, "cannot be read: " + e, e);
    }
  }

  static ObjectNode parse(final Path file, final byte[] bytes) {
    JsonNode node;
    try {
      // From characters: given bytes, the parser would take UTF-16 and UTF-32 too.
      node = MAPPER.readTree(utf8(file, bytes));
    } catch (JsonProcessingException e) {
      final String place =
          e.getLocation() == null ? "" : " at character " + e.getLocation().getCharOffset();
      throw new ModelFormatException(file, "not valid JSON: " + e.getOriginalMessage() + place, e);
    }
    if (node instanceof ObjectNode object) {
      return object;
    }
    throw new ModelFormatException(file, "not a JSON object");
  }

  private static String utf8(final Path file, final byte[] bytes) {
    final ByteBuffer buffer = ByteBuffer.wrap(bytes);
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(buffer).toString();
    } catch (final CharacterCodingException e) {
      throw new ModelFormatException(
          file, "not valid JSON: byte " + buffer.position() + " of it is not UTF-8", e);
    }
  }
}
