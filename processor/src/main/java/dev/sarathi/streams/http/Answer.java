package dev.sarathi.streams.http;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** What a route answers: all at once, or one event after another. */
public sealed interface Answer {
  ObjectMapper JSON = new ObjectMapper();

  /** The status of HTTP. */
  int status();

  String contentType();

  /**
   * All at once.
   *
   * @param status of HTTP
   */
  record Whole(int status, String contentType, byte[] body) implements Answer {}

  /**
   * One event after another, as server-sent events, until the source returns or the reader is gone.
   *
   * @param source sends them, on a thread of the answer's own
   * @param release is run once when the answer is over, also if the source was never asked
   */
  record Events(Source source, Runnable release) implements Answer {
    @Override
    public int status() {
      return 200;
    }

    @Override
    public String contentType() {
      return "text/event-stream";
    }
  }

  /** Sends events. */
  interface Source {
    /**
     * @throws IOException if the reader is gone
     */
    void sendTo(EventStream stream) throws IOException, InterruptedException;
  }

  static Answer of(final int status, final String contentType, final byte[] body) {
    return new Whole(status, contentType, body);
  }

  static Answer json(final int status, final JsonNode node) {
    try {
      return of(
          status,
          "application/json",
          (JSON.writeValueAsString(node) + "\n").getBytes(StandardCharsets.UTF_8));
    } catch (final JsonProcessingException e) {
      throw new IllegalStateException("a tree that is no JSON", e);
    }
  }

  static Answer json(final JsonNode node) {
    return json(200, node);
  }

  static Answer error(final int status, final String message) {
    return json(status, JsonNodeFactory.instance.objectNode().put("error", message));
  }
}
