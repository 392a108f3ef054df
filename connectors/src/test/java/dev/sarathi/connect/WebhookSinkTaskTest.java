package dev.sarathi.connect;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpServer;
import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.FinishReason;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.errors.RetriableException;
import org.apache.kafka.connect.sink.SinkRecord;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The webhook against a real server. */
class WebhookSinkTaskTest {
  private static final Schema SCHEMA = ContractData.toConnect(Completion.getClassSchema());

  private record Post(String key, String authorization, JsonNode body) {}

  private final List<Post> posts = Collections.synchronizedList(new ArrayList<>());
  private final Deque<Integer> statuses = new ArrayDeque<>();
  private final SinkContext context = new SinkContext();
  private HttpServer server;
  private WebhookSinkTask task;

  @BeforeEach
  void start() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/done",
        exchange -> {
          posts.add(
              new Post(
                  exchange.getRequestHeaders().getFirst("Idempotency-Key"),
                  exchange.getRequestHeaders().getFirst("Authorization"),
                  new ObjectMapper().readTree(exchange.getRequestBody())));
          exchange.sendResponseHeaders(statuses.isEmpty() ? 204 : statuses.pop(), -1);
          exchange.close();
        });
    server.start();
    task = task(Map.of());
  }

  @AfterEach
  void stop() {
    task.stop();
    server.stop(0);
  }

  @Test
  void shouldPostEachCompletion() {
    // given
    task = task(Map.of("webhook.authorization", "Bearer secret"));

    // when
    task.put(List.of(record(0, "a"), record(1, "é b")));

    // then
    assertThat(posts).extracting(Post::key).containsExactly("a", "%C3%A9+b");
    assertThat(posts).extracting(Post::authorization).containsOnly("Bearer secret");
    assertThat(posts.getLast().body().get("request_id").asText()).isEqualTo("é b");
    assertThat(posts.getLast().body().get("text").asText()).isEqualTo("Once");
    assertThat(context.errant).isEmpty();
  }

  @Test
  void shouldPostAgainAfterABackoffAndNothingTwiceMeanwhile() {
    // given
    statuses.addAll(List.of(204, 503, 429, 204, 204));
    final List<SinkRecord> records = List.of(record(0, "a"), record(1, "b"), record(2, "c"));

    // when
    assertThatThrownBy(() -> task.put(records))
        .isInstanceOf(RetriableException.class)
        .hasMessageContaining("status 503 after 1 attempts");
    assertThatThrownBy(() -> task.put(records)).hasMessageContaining("status 429 after 2 attempts");
    task.put(records);

    // then
    assertThat(posts).extracting(Post::key).containsExactly("a", "b", "b", "b", "c");
    assertThat(context.calls).containsExactly("timeout", "timeout");
    assertThat(context.errant).isEmpty();
  }

  @Test
  void shouldGiveUpToTheDeadLettersAndGoOn() {
    // given: refused for good, and failing as often as may be
    task = task(Map.of("webhook.max.attempts", "2"));
    statuses.addAll(List.of(400, 500, 500, 204));
    final List<SinkRecord> records = List.of(record(0, "a"), record(1, "b"), record(2, "c"));

    // when
    assertThatThrownBy(() -> task.put(records)).isInstanceOf(RetriableException.class);
    task.put(records);

    // then
    assertThat(context.errant).extracting(SinkRecord::kafkaOffset).containsExactly(0L, 1L);
    assertThat(context.reasons.getFirst()).hasMessageContaining("status 400 after 1 attempts");
    assertThat(context.reasons.getLast()).hasMessageContaining("status 500 after 2 attempts");
    assertThat(posts).extracting(Post::key).containsExactly("a", "b", "b", "c");
  }

  @Test
  void shouldTryAgainWhereNobodyAnswers() {
    server.stop(0);

    assertThatThrownBy(() -> task.put(List.of(record(0, "a"))))
        .isInstanceOf(RetriableException.class)
        .hasMessageContaining("ConnectException");
  }

  @Test
  void shouldRefuseAUrlThatIsNone() {
    for (final String url : List.of("ftp://localhost/", "no url", "http:///x", "localhost:80")) {
      assertThat(
              new WebhookSinkConnector()
                  .validate(Map.of("webhook.url", url)).configValues().stream()
                      .flatMap(value -> value.errorMessages().stream()))
          .as(url)
          .singleElement()
          .asString()
          .contains("URL");
    }
  }

  private WebhookSinkTask task(final Map<String, String> more) {
    final Map<String, String> properties = new HashMap<>(more);
    properties.put("webhook.url", "http://localhost:" + server.getAddress().getPort() + "/done");
    properties.putIfAbsent("webhook.max.attempts", "3");
    final WebhookSinkTask made = new WebhookSinkTask();
    made.initialize(context.context());
    made.start(properties);
    return made;
  }

  private static SinkRecord record(final long offset, final String id) {
    final Completion completion =
        Completion.newBuilder()
            .setRequestId(id)
            .setText("Once")
            .setFinishReason(FinishReason.STOP)
            .setPromptedAt(Instant.EPOCH)
            .setEmittedAt(Instant.EPOCH)
            .build();
    return new SinkRecord(
        "completions",
        0,
        Schema.STRING_SCHEMA,
        id,
        SCHEMA,
        ContractData.toConnect(Completion.getClassSchema(), SCHEMA, completion),
        offset);
  }
}
