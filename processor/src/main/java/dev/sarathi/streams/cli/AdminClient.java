package dev.sarathi.streams.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Asks the instances of an application, all of them by way of one. */
final class AdminClient implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration LIMIT = Duration.ofSeconds(10);

  private final HttpClient http = HttpClient.newBuilder().connectTimeout(LIMIT).build();
  private final String url;

  /** What an instance said; or, in its stead, why it did not. */
  record Reply(String instance, Optional<JsonNode> body, String problem) {}

  AdminClient(final String url) {
    this.url = url.replaceAll("/+$", "");
  }

  /**
   * What every instance answers to a path.
   *
   * @throws EnvironmentException if the first does not answer
   */
  List<Reply> askAll(final String path) throws InterruptedException {
    final Reply known = ask(url, "/instances");
    final JsonNode instances =
        known
            .body()
            .map(body -> body.path("instances"))
            .orElseThrow(
                () ->
                    new EnvironmentException(
                        "no instance answers at %s: %s; an instance listens where its sarathi.http.listen says"
                            .formatted(url, known.problem())));
    final List<Reply> replies = new ArrayList<>();
    for (final JsonNode instance : instances) {
      final String address = instance.path("address").asText("");
      replies.add(
          address.isEmpty()
              ? new Reply("an instance", Optional.empty(), "it does not listen")
              : ask("http://" + address, path));
    }
    // While the group has not formed, nobody knows anybody.
    return replies.isEmpty() ? List.of(ask(url, path)) : replies;
  }

  /** The request of an id, from whichever instance has it. */
  Optional<JsonNode> find(final String id) throws InterruptedException {
    final String path =
        "/requests/" + URLEncoder.encode(id, StandardCharsets.UTF_8).replace("+", "%20");
    return askAll(path).stream()
        .flatMap(reply -> reply.body().stream())
        .filter(body -> body.path("id").asText().equals(id))
        .findFirst();
  }

  private Reply ask(final String address, final String path) throws InterruptedException {
    try {
      final HttpResponse<byte[]> response =
          http.send(
              HttpRequest.newBuilder(URI.create(address + path)).timeout(LIMIT).build(),
              BodyHandlers.ofByteArray());
      final JsonNode body = JSON.readTree(response.body());
      return response.statusCode() == 200
          ? new Reply(address, Optional.of(body), "")
          : new Reply(
              address,
              Optional.empty(),
              body.path("error").asText("HTTP " + response.statusCode()));
    } catch (final IOException | IllegalArgumentException e) {
      return new Reply(
          address, Optional.empty(), e.getMessage() == null ? e.toString() : e.getMessage());
    }
  }

  @Override
  public void close() {
    http.close();
  }
}
