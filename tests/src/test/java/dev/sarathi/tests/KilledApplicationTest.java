package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KilledApplicationTest {
  private static final int TOKENS = 1_200;

  @Test
  void shouldResumeAtTheCommittedTokenAfterKill(@TempDir final Path directory) throws Exception {
    // given: a dozen long generations under way, in an application in a JVM of its own
    final List<PromptRequest> requests = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      requests.add(
          i % 2 == 0
              ? Stories.ofLength("request-" + i, 20 + 40 * i, TOKENS)
              : Stories.sampled("request-" + i, 20 + 40 * i, TOKENS));
    }
    requests.add(
        PromptRequest.newBuilder(Stories.sampled("choices", 40, TOKENS / 3)).setN(3).build());
    try (DevelopmentBroker broker =
        DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")))) {
      final Path config = configuration(directory, broker.bootstrapServers());
      createTopics(broker.bootstrapServers());
      Prompts.send(broker.bootstrapServers(), "prompts", requests);
      Process application = start(config, directory.resolve("first.log"));
      try (TokenLog log = new TokenLog(broker.bootstrapServers(), "tokens")) {
        final long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        while (log.tokens() < 12 * TOKENS / 5) {
          assertThat(System.nanoTime()).as("%d tokens", log.tokens()).isLessThan(deadline);
          assertThat(application.isAlive())
              .as(() -> readString(directory.resolve("first.log")))
              .isTrue();
          log.poll();
        }

        // when
        application.destroyForcibly().waitFor();
        assertThat(log.terminals()).as("ended before the kill").isLessThan(requests.size());
        application = start(config, directory.resolve("second.log"));
        log.awaitTerminals(requests.size(), Duration.ofSeconds(120));

        // then
        try (Oracle oracle = new Oracle()) {
          for (final PromptRequest request : requests) {
            log.assertExactlyOnce(request.getId().orElseThrow(), oracle.answers(request));
          }
        }
        assertThat(requests)
            .as("resumed at an index above 0")
            .anyMatch(request -> isResumed(log, request.getId().orElseThrow()));

        // when it is asked to stop
        application.destroy();

        // then it does so by itself
        assertThat(application.waitFor(10, TimeUnit.SECONDS)).as("stopped within 10 s").isTrue();
      } finally {
        application.destroyForcibly();
      }
    }
  }

  /** Some of its tokens are of the first attempt and some, at a higher index, of the second. */
  private static boolean isResumed(final TokenLog log, final String id) {
    return log.of(id).getFirst().getAttempt() == 1 && log.of(id).getLast().getAttempt() == 2;
  }

  private static String readString(final Path file) {
    try {
      return Files.readString(file);
    } catch (final IOException e) {
      return e.toString();
    }
  }

  private static Path configuration(final Path directory, final String bootstrapServers)
      throws IOException {
    final Properties properties = new Properties();
    properties.setProperty("bootstrap.servers", bootstrapServers);
    properties.setProperty("application.id", "killed");
    properties.setProperty("schema.registry.url", "mock://tests");
    properties.setProperty("state.dir", directory.resolve("state").toString());
    // The documented setting for a quick recovery: the same member comes back, and need not wait
    // for its former self to time out.
    properties.setProperty("group.instance.id", "instance-1");
    properties.setProperty("sarathi.model", Stories.MODEL.toString());
    properties.setProperty("sarathi.cpu.threads", "1");
    final Path file = directory.resolve("application.properties");
    try (Writer writer = Files.newBufferedWriter(file, StandardCharsets.UTF_8)) {
      properties.store(writer, null);
    }
    return file;
  }

  private static void createTopics(final String bootstrapServers) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrapServers))) {
      admin
          .createTopics(
              List.of(new NewTopic("prompts", 3, (short) 1), new NewTopic("tokens", 3, (short) 1)))
          .all()
          .get();
    }
  }

  private static Process start(final Path config, final Path log) throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-XX:+UseSerialGC",
            "-Xmx512m",
            "-cp",
            System.getProperty("java.class.path"),
            "dev.sarathi.streams.cli.Sarathi",
            "run",
            "--config",
            config.toString())
        .redirectErrorStream(true)
        .redirectOutput(log.toFile())
        .start();
  }
}
