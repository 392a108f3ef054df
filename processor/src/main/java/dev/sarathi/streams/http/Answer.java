package dev.sarathi.streams.http;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.nio.charset.StandardCharsets;

/**
 * What a route answers.
 *
 * @param status of HTTP
 */
public record Answer(int status, String contentType, byte[] body) {
  private static final ObjectMapper JSON = new ObjectMapper();

  public static Answer json(final int status, final JsonNode node) {
    try {
      return new Answer(
          status,
          "application/json",
          (JSON.writeValueAsString(node) + "\n").getBytes(StandardCharsets.UTF_8));
    } catch (final JsonProcessingException e) {
      throw new IllegalStateException("a tree that is no JSON", e);
    }
  }

  public static Answer json(final JsonNode node) {
    return json(200, node);
  }

  public static Answer error(final int status, final String message) {
    return json(status, JsonNodeFactory.instance.objectNode().put("error", message));
  }
}
