package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("container")
class ComposeContainerTest {
  private static final Duration LIMIT = Duration.ofMinutes(5);

  @Test
  void shouldAnswerAPromptByTheDocumentedCommands() throws Exception {
    // given: docker-compose.yml as it is, beside whatever else runs on this machine
    Images.makeReady();
    final List<String> command = compose();
    final Map<String, String> environment = new HashMap<>();
    environment.put("COMPOSE_PROJECT_NAME", "sarathi-test");
    environment.put("SARATHI_TAG", Images.TAG);
    for (final String port :
        List.of("KAFKA_PORT", "REGISTRY_PORT", "CONNECT_PORT", "PROMETHEUS_PORT")) {
      environment.put(port, Integer.toString(freePort()));
    }
    try {
      // when: all but Grafana, for which there is no stand-in
      succeed(
          command,
          environment,
          "up",
          "--detach",
          "--scale",
          "app=2",
          "kafka",
          "registry",
          "app",
          "connect",
          "prometheus");
      succeed(
          command,
          environment,
          "exec",
          "-T",
          "app",
          "sarathi",
          "submit",
          "--max-tokens",
          "60",
          "--id",
          "story",
          "Once upon a time");
      final String told =
          succeed(
              command,
              environment,
              "exec",
              "-T",
              "app",
              "sarathi",
              "tail",
              "--from-beginning",
              "--until-done",
              "1",
              "--json");

      // then
      assertThat(told).contains("\"story\"");

      // and the connectors are there, and Prometheus finds both instances
      awaitAnswer(
          environment.get("CONNECT_PORT"), "/connector-plugins", ".*dev\\.sarathi\\.connect.*");
      awaitAnswer(
          environment.get("PROMETHEUS_PORT"),
          "/api/v1/targets",
          ".*\"scrapeUrl\".*\"scrapeUrl\".*");
    } catch (final AssertionError | Exception e) {
      System.out.println(Images.run(environment, with(command, "logs", "--tail", "60")).text());
      throw e;
    } finally {
      Images.run(environment, with(command, "down", "--volumes", "--timeout", "10"));
    }
  }

  /** Waits for an answer at a published port. */
  private static void awaitAnswer(final String port, final String path, final String pattern)
      throws InterruptedException {
    final HttpRequest request =
        HttpRequest.newBuilder(URI.create("http://localhost:" + port + path))
            .timeout(Duration.ofSeconds(10))
            .build();
    final long deadline = System.nanoTime() + LIMIT.toNanos();
    String answer = "";
    try (HttpClient http = HttpClient.newHttpClient()) {
      while (!Pattern.compile(pattern, Pattern.DOTALL).matcher(answer).matches()) {
        assertThat(System.nanoTime()).as("%s: %s", request.uri(), answer).isLessThan(deadline);
        try {
          answer = http.send(request, HttpResponse.BodyHandlers.ofString()).body();
        } catch (final IOException e) {
          answer = e.toString();
        }
        Thread.sleep(500);
      }
    }
  }

  private static String succeed(
      final List<String> command, final Map<String, String> environment, final String... arguments)
      throws Exception {
    final Images.Output output = Images.run(environment, with(command, arguments));
    assertThat(output.status()).as(output.text()).isZero();
    return output.text();
  }

  private static String[] with(final List<String> command, final String... arguments) {
    final List<String> whole = new ArrayList<>(command);
    whole.addAll(List.of(arguments));
    return whole.toArray(String[]::new);
  }

  /** The plugin of today, or the program of before. */
  private static List<String> compose() throws Exception {
    for (final List<String> command :
        List.of(List.of("docker", "compose"), List.of("docker-compose"))) {
      try {
        if (Images.run(Map.of(), with(command, "version")).status() == 0) {
          return command;
        }
      } catch (final IOException e) {
        // The next one.
      }
    }
    assumeTrue(false, "neither `docker compose` nor docker-compose is installed");
    throw new AssertionError();
  }

  private static int freePort() throws IOException {
    try (ServerSocket free = new ServerSocket(0)) {
      return free.getLocalPort();
    }
  }
}
