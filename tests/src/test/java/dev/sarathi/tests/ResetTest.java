package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the guide says of resetting an application, with the commands that it gives. */
class ResetTest {
  private static final Duration LIMIT = Duration.ofSeconds(120);
  private static final String TOOL = "kafka-streams-application-reset";

  @TempDir private static Path directory;

  @Test
  void shouldBeginAnewAsTheGuideSays() throws Exception {
    final List<String> commands = KafkaTool.commandsOf(TOOL);
    assertThat(commands).hasSize(4);
    try (DevelopmentBroker broker =
            DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")));
        Oracle oracle = new Oracle()) {
      final Map<String, String> words = new HashMap<>();
      words.put("localhost:9092", broker.bootstrapServers());
      words.put("2026-01-31T12:00:00.000", before(Duration.ofHours(1)));
      final PromptRequest done = Stories.sampled("done", 20, 30);
      final PromptRequest half = Stories.sampled("half", 20, Stories.ENDLESS);

      // given: a generation that has ended, and one that has not
      final int halfTokens;
      try (Application application = start(broker);
          TokenLog log = new TokenLog(broker.bootstrapServers(), "tokens")) {
        Prompts.send(broker.bootstrapServers(), "prompts", List.of(done));
        log.awaitTerminals(1, LIMIT);
        Prompts.send(broker.bootstrapServers(), "prompts", List.of(half));
        final long deadline = System.nanoTime() + LIMIT.toNanos();
        while (log.of("half").isEmpty()) {
          assertThat(System.nanoTime()).isLessThan(deadline);
          log.poll();
        }
        assertThat(application.isRunning()).isTrue();
      }
      try (TokenLog log = new TokenLog(broker.bootstrapServers(), "tokens")) {
        log.awaitTerminals(1, LIMIT);
        halfTokens = log.of("half").stream().mapToInt(part -> part.getTokenIds().size()).sum();
        assertThat(halfTokens).as("not ended").isBetween(1, Stories.ENDLESS - 1);
      }

      // when it is tried only, then nothing changes
      assertThat(KafkaTool.text(KafkaTool.run(commands.get(0), words)))
          .contains("stories-generate-requests-changelog");
      assertThat(changelogs(broker)).hasSize(6);

      // when: from the latest
      reset(commands.get(3), words);
      assertThat(changelogs(broker)).isEmpty();
      try (Application application = start(broker);
          TokenLog log = new TokenLog(broker.bootstrapServers(), "tokens")) {
        Prompts.send(
            broker.bootstrapServers(), "prompts", List.of(Stories.ofLength("next", 20, 10)));
        log.awaitTerminals(2, LIMIT);

        // then what was unfinished is gone
        assertThat(log.of("half")).noneMatch(TokenRecord::getLast);
        assertThat(log.of("half").stream().mapToInt(part -> part.getTokenIds().size()).sum())
            .isEqualTo(halfTokens);
        assertThat(application.isRunning()).isTrue();
      }

      // when: from the earliest, and from an hour ago, when there was nothing
      for (final String command : List.of(commands.get(1), commands.get(2))) {
        reset(command, words);
      }
      try (Application application = start(broker);
          TokenLog log = new TokenLog(broker.bootstrapServers(), "tokens")) {
        log.awaitTerminals(2 + 3, LIMIT);

        // then: all of it once more, from token 0 on, and the same
        final List<Integer> tokens = oracle.answers(done).getFirst().tokens();
        assertThat(log.of("done").stream().flatMap(part -> part.getTokenIds().stream()))
            .containsExactlyElementsOf(Stream.concat(tokens.stream(), tokens.stream()).toList());
        final List<Integer> whole = oracle.answers(half).getFirst().tokens();
        assertThat(log.of("half").stream().flatMap(part -> part.getTokenIds().stream()))
            .containsExactlyElementsOf(
                Stream.concat(whole.subList(0, halfTokens).stream(), whole.stream()).toList());
        assertThat(log.of("half")).allMatch(part -> part.getAttempt() == 1);
        assertThat(application.isRunning()).isTrue();
      }
    }
  }

  /** The tool, and what must be done beside it. */
  private static void reset(final String command, final Map<String, String> words)
      throws IOException, InterruptedException {
    KafkaTool.run(command, words);
    final Path state = directory.resolve("state").resolve("stories");
    if (Files.exists(state)) {
      try (Stream<Path> files = Files.walk(state)) {
        for (final Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
    }
  }

  private static String before(final Duration duration) {
    return LocalDateTime.ofInstant(Instant.now().minus(duration), ZoneOffset.UTC)
        .format(DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS"));
  }

  private static List<String> changelogs(final DevelopmentBroker broker) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker.bootstrapServers()))) {
      return admin.listTopics().names().get().stream()
          .filter(topic -> topic.endsWith("-changelog"))
          .toList();
    }
  }

  private static Application start(final DevelopmentBroker broker) {
    return Application.start(
        Map.of(
            "bootstrap.servers",
            broker.bootstrapServers(),
            "application.id",
            "stories",
            "schema.registry.url",
            "mock://tests",
            "state.dir",
            directory.resolve("state").toString(),
            "sarathi.model",
            Stories.MODEL.toString(),
            "sarathi.topics.partitions",
            2));
  }
}
