package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What docs/monitor.md promises: a real Prometheus asks what dashboard and alerts ask. */
@Tag("long")
class MonitoringTest {
  private static final Path PROMETHEUS = Path.of("/usr/bin/prometheus");
  private static final Path DEPLOY = Stories.MODEL.resolve("../../deploy").normalize();
  private static final Duration LIMIT = Duration.ofSeconds(240);
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir private Path directory;

  private final HttpClient http = HttpClient.newHttpClient();

  @Test
  void shouldAnswerEveryPanelAndEveryAlertUnderLoad() throws Exception {
    assumeThat(PROMETHEUS)
        .as("Prometheus; install it with `apt-get install prometheus`")
        .isExecutable();
    // given
    try (DevelopmentBroker broker =
            DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")));
        Application application = Application.start(properties(broker))) {
      await().atMost(LIMIT).until(application::isRunning);
      final String address = application.httpAddress().orElseThrow();
      final int port = freePort();
      final Process prometheus = prometheus(address, port);
      final AtomicBoolean loading = new AtomicBoolean(true);
      final Thread load = Thread.ofVirtual().start(() -> load(broker, loading));
      try {
        final String api = "http://127.0.0.1:" + port + "/api/v1/";

        // then: every panel has something to show
        final Map<String, String> missing = new LinkedHashMap<>(panels());
        assertThat(missing).hasSizeGreaterThan(30);
        await()
            .atMost(LIMIT)
            .pollInterval(Duration.ofSeconds(1))
            .untilAsserted(
                () -> {
                  missing.values().removeIf(expression -> hasNumbers(api, expression));
                  assertThat(missing).as("panels without data").isEmpty();
                });

        // and every alert is understood, and Prometheus evaluates them
        final JsonNode rules = get(api + "rules").at("/data/groups/0/rules");
        assertThat(rules).hasSizeGreaterThan(5);
        await()
            .atMost(LIMIT)
            .untilAsserted(
                () ->
                    assertThat(get(api + "rules").at("/data/groups/0/rules"))
                        .allSatisfy(
                            rule ->
                                assertThat(rule.get("health").asText())
                                    .as(rule.toString())
                                    .isEqualTo("ok")));
        for (final JsonNode rule : rules) {
          assertThat(query(api, rule.get("query").asText()).get("status").asText())
              .as(rule.get("name").asText())
              .isEqualTo("success");
        }

        // and the configuration is shown, but no secret
        final JsonNode config = get("http://" + address + "/config");
        assertThat(config.get("sarathi.prefix.cache").asText()).isEqualTo("true");
        assertThat(config.get("sarathi.token.budget").asText()).isNotEmpty();
        assertThat(config.get("processing.guarantee").asText()).isEqualTo("exactly_once_v2");
        assertThat(config.toString()).doesNotContain("hunter2");
      } finally {
        loading.set(false);
        prometheus.destroy();
        if (!prometheus.waitFor(20, TimeUnit.SECONDS)) {
          prometheus.destroyForcibly();
        }
        load.join(Duration.ofSeconds(20));
      }
    }
  }

  private Map<String, Object> properties(final DevelopmentBroker broker) {
    final Map<String, Object> properties = new HashMap<>();
    properties.put("bootstrap.servers", broker.bootstrapServers());
    properties.put("application.id", "watched");
    properties.put("schema.registry.url", "mock://tests");
    properties.put("state.dir", directory.resolve("state").toString());
    properties.put("ssl.key.password", "hunter2");
    properties.put("sarathi.model", Stories.MODEL.toString());
    properties.put("sarathi.cpu.threads", 1);
    properties.put("sarathi.prefix.cache", true);
    properties.put("sarathi.http.listen", "127.0.0.1:0");
    return properties;
  }

  /** Stories that begin alike, one of them twice, and something that is no prompt. */
  private static void load(final DevelopmentBroker broker, final AtomicBoolean loading) {
    for (int i = 0; loading.get(); i++) {
      final List<PromptRequest> prompts =
          List.of(
              Stories.ofLength("story-" + i, 64, 40),
              Stories.sampled("story-" + i / 2, 64, 40),
              PromptRequest.newBuilder().setId("empty-" + i).setPrompt("").build());
      Prompts.send(broker.bootstrapServers(), "prompts", prompts);
      try {
        Thread.sleep(500);
      } catch (final InterruptedException e) {
        return;
      }
    }
  }

  /** Runs Prometheus with our configuration, faster and on our instance. */
  private Process prometheus(final String address, final int port) throws IOException {
    final Path folder = Files.createDirectories(directory.resolve("prometheus"));
    final Path config = folder.resolve("prometheus.yml");
    final String ours = Files.readString(DEPLOY.resolve("prometheus/prometheus.yml"));
    assertThat(ours).contains("localhost:8080").contains("15s");
    Files.writeString(config, ours.replace("localhost:8080", address).replace("15s", "1s"));
    Files.copy(DEPLOY.resolve("prometheus/alerts.yml"), folder.resolve("alerts.yml"));
    return new ProcessBuilder(
            PROMETHEUS.toString(),
            "--config.file=" + config,
            "--storage.tsdb.path=" + folder.resolve("data"),
            "--web.listen-address=127.0.0.1:" + port)
        .redirectErrorStream(true)
        .redirectOutput(folder.resolve("prometheus.log").toFile())
        .start();
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }

  /** The expressions of the dashboard, by panel, with its variables filled in. */
  private static Map<String, String> panels() throws IOException {
    final Map<String, String> expressions = new LinkedHashMap<>();
    final JsonNode dashboard =
        JSON.readTree(DEPLOY.resolve("grafana/dashboards/sarathi.json").toFile());
    for (final JsonNode panel : dashboard.get("panels")) {
      for (final JsonNode target : panel.path("targets")) {
        expressions.put(
            panel.get("title").asText() + " / " + target.get("legendFormat").asText(),
            target.get("expr").asText().replace("$__rate_interval", "20s").replace("$model", ".*"));
      }
    }
    return expressions;
  }

  private boolean hasNumbers(final String api, final String expression) {
    final JsonNode answer = query(api, expression);
    assertThat(answer.path("status").asText())
        .as("%s: %s", expression, answer)
        .isEqualTo("success");
    final List<Double> values = new ArrayList<>();
    answer
        .at("/data/result")
        .forEach(series -> values.add(Double.valueOf(series.at("/value/1").asText())));
    return values.stream().anyMatch(value -> !value.isNaN());
  }

  private JsonNode query(final String api, final String expression) {
    return get(api + "query?query=" + URLEncoder.encode(expression, StandardCharsets.UTF_8));
  }

  private JsonNode get(final String address) {
    try {
      return JSON.readTree(
          http.send(
                  HttpRequest.newBuilder(URI.create(address)).build(),
                  HttpResponse.BodyHandlers.ofString())
              .body());
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    } catch (final InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
