package dev.sarathi.streams.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.EngineFailedException;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationHandle;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.runtime.TokenListener;
import dev.sarathi.streams.RequestQueries;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The page's routes and those of an instance, over HTTP, with an engine whose broker is away. */
@Timeout(120)
class PageRoutesTest {
  private static final Path MODEL =
      Path.of(System.getProperty("sarathi.home", ".."), "models", "storyteller");
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int MAX_SEQUENCES = 3;

  @TempDir private static Path directory;
  private static final HttpClient CLIENT = HttpClient.newHttpClient();
  private static GenerationEngine engine;
  private static KafkaStreams streams;
  private static HttpEndpoint endpoint;

  /** Wants nothing of what is generated. */
  private static final class Deaf implements TokenListener {
    @Override
    public void onTokens(final TokenDelta delta) {}

    @Override
    public void onEngineFailure(final EngineFailedException failure) {}
  }

  private record Event(String name, JsonNode data) {}

  @BeforeAll
  static void start() throws InterruptedException {
    final EngineConfig config =
        EngineConfig.of(MODEL).withThreads(1).withMaxSequences(MAX_SEQUENCES);
    final IterationHistory history = new IterationHistory();
    engine = GenerationEngine.start(config, history);
    final Properties properties = new Properties();
    properties.putAll(
        Map.of(
            "bootstrap.servers",
            "127.0.0.1:1",
            "application.id",
            "page",
            "state.dir",
            directory.toString(),
            "default.key.serde",
            Serdes.ByteArraySerde.class,
            "default.value.serde",
            Serdes.ByteArraySerde.class));
    final StreamsBuilder builder = new StreamsBuilder();
    builder.stream("prompts").to("tokens");
    streams = new KafkaStreams(builder.build(), properties);
    streams.start();
    endpoint = HttpEndpoint.bind("listen", "127.0.0.1:0");
    final RequestQueries queries = new RequestQueries(streams, "generate");
    final String address = endpoint.address();
    endpoint.serve(
        new PageRoutes(config, streams, engine, queries, address, history)
            .addTo(new InstanceRoutes(streams, engine, queries, address).router()));
    assertThat(engine.awaitReady(Duration.ofSeconds(60))).isTrue();
  }

  @AfterAll
  static void stop() {
    endpoint.close();
    streams.close(CloseOptions.timeout(Duration.ofSeconds(5)));
    engine.close();
    CLIENT.close();
  }

  @Test
  void shouldBeHealthyButNotReadyWhileTheBrokerIsAway() throws Exception {
    assertThat(get("/health").statusCode()).isEqualTo(200);
    assertThat(get("/ready").statusCode()).isEqualTo(503);
    assertThat(get("/ready").body()).contains("\"warm\":true");
  }

  @Test
  void shouldServeThePageAndAllItIsMadeOf() throws Exception {
    final String page = get("/").body();

    assertThat(page).contains("<title>Sarathi Streams</title>").doesNotContain("style=", "onclick");
    for (final String name : List.of("page.css", "page.js", "timeline.js", "icon.svg")) {
      assertThat(get("/page/" + name).statusCode()).as(name).isEqualTo(200);
    }
    assertThat(page).doesNotContain("http://", "https://");
    assertThat(get("/page/Page.class").statusCode()).isEqualTo(404);
  }

  @Test
  void shouldAnswerATriedPromptAsTheEngineDoesAndShowItsIterations() throws Exception {
    // when
    final HttpResponse<InputStream> answer = tryPrompt("first-page", "Once upon a time", 20);
    assertThat(answer.statusCode()).isEqualTo(200);
    final List<Event> events = all(answer);

    // then
    final StringBuilder text = new StringBuilder();
    events.stream()
        .filter(event -> event.name.equals("tokens"))
        .forEach(event -> text.append(event.data.path("text").asText()));
    assertThat(text).hasToString(answerOf("Once upon a time", 20));
    assertThat(events.getLast().name).isEqualTo("end");
    assertThat(events.getLast().data.path("reason").asText()).isEqualTo("length");
    assertThat(events.getLast().data.path("tokens").asInt()).isEqualTo(20);
    assertThat(events.getLast().data.path("ttft_ms").asDouble()).isPositive();

    // and: the page is told of the iterations, and of the latencies
    final List<Event> watched = events("/page/events", 3);
    assertThat(watched).extracting(Event::name).startsWith("constants", "now", "group");
    assertThat(watched.getFirst().data.path("model").asText()).isEqualTo("storyteller");
    final JsonNode now = watched.get(1).data;
    assertThat(now.path("iterations")).hasSizeGreaterThanOrEqualTo(20);
    assertThat(sum(now.path("ttft").path("since_start"))).isPositive();
    assertThat(sum(now.path("tbt").path("since_start"))).isGreaterThanOrEqualTo(19);
    final JsonNode blocks = now.path("kv");
    assertThat(
            blocks.path("used").asInt()
                + blocks.path("cached").asInt()
                + blocks.path("free").asInt())
        .isEqualTo(blocks.path("total").asInt())
        .isPositive();
  }

  @Test
  void shouldCancelATriedPromptWhosePageIsGoneAndTryOneAtATimeForEach() throws Exception {
    // given
    final HttpResponse<InputStream> answer = tryPrompt("second-page", "Once upon a time", 256);
    final BufferedReader reader = reader(answer);
    assertThat(next(reader).name).isEqualTo("begin");

    // when, then
    assertThat(tryPrompt("second-page", "Again", 5).statusCode()).isIn(409, 200);
    reader.close();
    await().atMost(Duration.ofSeconds(10)).until(() -> engine.load().running() == 0);
    await()
        .atMost(Duration.ofSeconds(10))
        .until(() -> all(tryPrompt("second-page", "Once", 5)).getLast().name.equals("end"));
  }

  @Test
  void shouldRefuseATriedPromptWhenTheEngineIsFullOrItIsNone() throws Exception {
    // given
    final List<GenerationHandle> running = new ArrayList<>();
    for (int i = 0; i < MAX_SEQUENCES; i++) {
      running.add(
          engine.submit(
              GenerationRequest.of("running-" + i, "The cat").withIgnoreEos(true), new Deaf()));
    }
    await().atMost(Duration.ofSeconds(10)).until(() -> engine.load().running() == MAX_SEQUENCES);

    // when, then
    final HttpResponse<InputStream> refused = tryPrompt("third-page", "Once", 5);
    assertThat(refused.statusCode()).isEqualTo(503);
    assertThat(new String(refused.body().readAllBytes(), StandardCharsets.UTF_8))
        .contains("the engine is full");

    // and: what no engine takes
    running.forEach(GenerationHandle::abandon);
    await().atMost(Duration.ofSeconds(10)).until(() -> engine.load().running() == 0);
    assertThat(tryPrompt("third-page", " ", 5).statusCode()).isEqualTo(400);
    assertThat(tryPrompt("third-page", "Once", 0).statusCode()).isEqualTo(400);
    assertThat(tryPrompt("third-page", "Once", 257).statusCode()).isEqualTo(400);
    assertThat(tryPrompt("../..", "Once", 5).statusCode()).isEqualTo(400);
    assertThat(tryPrompt("third-page", "cat ".repeat(4_096), 5).statusCode()).isEqualTo(400);
  }

  @Test
  void shouldBeWatchedBySoManyPagesAndNoMore() throws Exception {
    // given
    final List<BufferedReader> readers = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      readers.add(reader(open("/page/events")));
      assertThat(next(readers.getLast()).name).isEqualTo("constants");
    }

    // when, then
    assertThat(events("/page/events", 1).getFirst().name).isEqualTo("full");
    for (final BufferedReader reader : readers) {
      reader.close();
    }
    await()
        .atMost(Duration.ofSeconds(10))
        .until(() -> events("/page/events", 1).getFirst().name.equals("constants"));
  }

  @Test
  void shouldSayWhoCouldNotBeAskedForARequest() throws Exception {
    final HttpResponse<String> answer = get("/page/requests/nobody");

    assertThat(answer.body()).contains("\"found\":false", endpoint.address());
  }

  private static String answerOf(final String prompt, final int tokens) throws Exception {
    final CompletableFuture<String> answer = new CompletableFuture<>();
    final StringBuilder text = new StringBuilder();
    engine.submit(
        GenerationRequest.of("oracle", prompt).withMaxTokens(tokens),
        new TokenListener() {
          @Override
          public void onTokens(final TokenDelta delta) {
            text.append(delta.text());
            delta.finish().ifPresent(_ -> answer.complete(text.toString()));
          }

          @Override
          public void onEngineFailure(final EngineFailedException failure) {
            answer.completeExceptionally(failure);
          }
        });
    return answer.get();
  }

  private static int sum(final JsonNode counts) {
    int sum = 0;
    for (final JsonNode count : counts) {
      sum += count.asInt();
    }
    return sum;
  }

  private static HttpResponse<InputStream> tryPrompt(
      final String page, final String prompt, final int maxTokens) throws Exception {
    final String body =
        JSON.createObjectNode()
            .put("page", page)
            .put("prompt", prompt)
            .put("max_tokens", maxTokens)
            .put("temperature", 0)
            .toString();
    return CLIENT.send(
        HttpRequest.newBuilder(uri("/page/prompts"))
            .header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body))
            .build(),
        BodyHandlers.ofInputStream());
  }

  private static HttpResponse<String> get(final String path) throws Exception {
    return CLIENT.send(HttpRequest.newBuilder(uri(path)).build(), BodyHandlers.ofString());
  }

  private static HttpResponse<InputStream> open(final String path) throws Exception {
    return CLIENT.send(HttpRequest.newBuilder(uri(path)).build(), BodyHandlers.ofInputStream());
  }

  private static List<Event> events(final String path, final int count) throws Exception {
    final List<Event> events = new ArrayList<>();
    try (BufferedReader reader = reader(open(path))) {
      while (events.size() < count) {
        events.add(next(reader));
      }
    }
    return events;
  }

  private static List<Event> all(final HttpResponse<InputStream> answer) throws IOException {
    final List<Event> events = new ArrayList<>();
    try (BufferedReader reader = reader(answer)) {
      for (Event event = next(reader); event != null; event = next(reader)) {
        events.add(event);
      }
    }
    return events;
  }

  private static BufferedReader reader(final HttpResponse<InputStream> answer) {
    return new BufferedReader(new InputStreamReader(answer.body(), StandardCharsets.UTF_8));
  }

  /** The next event; null at the end. */
  private static Event next(final BufferedReader reader) throws IOException {
    String line = reader.readLine();
    while (line != null && !line.startsWith("event: ")) {
      line = reader.readLine();
    }
    return line == null
        ? null
        : new Event(
            line.substring("event: ".length()),
            JSON.readTree(reader.readLine().substring("data: ".length())));
  }

  private static URI uri(final String path) {
    return URI.create("http://" + endpoint.address() + path);
  }
}
