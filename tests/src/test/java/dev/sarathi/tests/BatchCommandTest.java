package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code sarathi batch} in a JVM of its own, killed and run again. */
class BatchCommandTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration LIMIT = Duration.ofMinutes(4);

  /** Of one line, at most. */
  private static final int CHOICES = 2;

  @TempDir private Path directory;

  @Test
  void shouldGoOnWhereAKillHasStoppedIt() throws Exception {
    shouldEndAsIfItHadNeverBeenKilled(60, 160, 8, 1);
  }

  @Test
  @Tag("long")
  void shouldGoOnWhereFiveKillsHaveStoppedIt() throws Exception {
    shouldEndAsIfItHadNeverBeenKilled(1000, 48, 32, 5);
  }

  /**
   * @param sideBySide how many lines are generated at once: so many a kill may find unfinished
   */
  private void shouldEndAsIfItHadNeverBeenKilled(
      final int lines, final int maxTokens, final int sideBySide, final int kills)
      throws Exception {
    // given: a run that nothing disturbs
    final Path input = write(lines, maxTokens);
    final Path undisturbed = directory.resolve("undisturbed.jsonl");
    assertThat(end(start(input, undisturbed, "undisturbed", sideBySide))).as(this::log).isOne();
    final long tokens = decoded(trace("undisturbed"));

    // when: another is killed at random moments
    final Path output = directory.resolve("killed.jsonl");
    final Path state = directory.resolve("killed.jsonl.sarathi");
    final Random random = new Random(lines);
    final Set<String> finished = new HashSet<>();
    long tokensOfAll = 0;
    int mostFinished = 0;
    for (int kill = 0; kill < kills; kill++) {
      final Process process = start(input, output, "killed-" + kill, sideBySide);
      final int share = lines / (kills + 1);
      awaitAnswered(process, state, kill * share + random.nextInt(share) + 1);
      Thread.sleep(random.nextInt(300));
      process.destroyForcibly().waitFor();
      assertThat(output).as("not yet").doesNotExist();
      assertNoneRunAgain(trace("killed-" + kill), finished);
      tokensOfAll += decoded(trace("killed-" + kill));
      finished.addAll(requests(state.resolve("output.jsonl")));
      assertThat(finished.size()).isGreaterThan(mostFinished).isLessThan(lines);
      mostFinished = finished.size();
    }
    assertThat(end(start(input, output, "last", sideBySide))).as(this::log).isOne();

    // then: the same results in the same order, and nothing was generated again but what was
    // unfinished
    assertThat(normalised(output)).isEqualTo(normalised(undisturbed)).hasSize(lines - 1);
    assertThat(normalised(directory.resolve("killed.errors.jsonl")))
        .isEqualTo(normalised(directory.resolve("undisturbed.errors.jsonl")))
        .hasSize(1);
    assertNoneRunAgain(trace("last"), finished);
    tokensOfAll += decoded(trace("last"));
    assertThat(tokensOfAll)
        .as("tokens that the engine decoded")
        .isLessThan(tokens + (long) kills * sideBySide * CHOICES * maxTokens);
    assertThat(state).as("the state, of which nothing is needed any more").doesNotExist();

    // and once more it has nothing to do
    final byte[] before = Files.readAllBytes(output);
    assertThat(end(start(input, output, "again", sideBySide))).as(this::log).isOne();
    assertThat(log()).contains("is done already");
    assertThat(output).hasBinaryContent(before);
  }

  /** Prompts of both endpoints, some of several choices, and one that is none. */
  private Path write(final int lines, final int maxTokens) throws IOException {
    final List<String> content = new ArrayList<>();
    for (int i = 0; i < lines; i++) {
      final String id = "line-" + i;
      if (i == lines / 2) {
        content.add("{\"custom_id\": \"" + id + "\"}");
      } else if (i % 3 == 0) {
        content.add(
            line(
                id,
                "/v1/chat/completions",
                "{\"messages\":[{\"role\":\"user\",\"content\":\"Tell of fox %d\"}],\"max_tokens\":%d}"
                    .formatted(i, maxTokens)));
      } else {
        content.add(
            line(
                id,
                "/v1/completions",
                "{\"prompt\":\"Once upon a time, %d\",\"n\":%d,\"max_tokens\":%d,\"ignore_eos\":true}"
                    .formatted(i, i % 10 == 1 ? CHOICES : 1, maxTokens)));
      }
    }
    return Files.write(directory.resolve("in.jsonl"), content);
  }

  private static String line(final String customId, final String url, final String body) {
    return "{\"custom_id\":\"%s\",\"method\":\"POST\",\"url\":\"%s\",\"body\":%s}"
        .formatted(customId, url, body);
  }

  private Path trace(final String name) {
    return directory.resolve(name + ".trace");
  }

  private Process start(
      final Path input, final Path output, final String name, final int sideBySide)
      throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-XX:+UseSerialGC",
            "-Xmx512m",
            "-cp",
            System.getProperty("java.class.path"),
            "dev.sarathi.streams.cli.Sarathi",
            "batch",
            input.toString(),
            "-o",
            output.toString(),
            "--ordered",
            "--threads=1",
            "--max-sequences=" + sideBySide,
            "--model=" + Stories.MODEL,
            "--trace=" + trace(name))
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.appendTo(directory.resolve("log").toFile()))
        .start();
  }

  private int end(final Process process) throws InterruptedException {
    try {
      assertThat(process.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS)).as(this::log).isTrue();
      return process.exitValue();
    } finally {
      process.destroyForcibly();
    }
  }

  private String log() {
    try {
      return Files.readString(directory.resolve("log"));
    } catch (final IOException e) {
      return e.toString();
    }
  }

  private void awaitAnswered(final Process process, final Path state, final int lines)
      throws Exception {
    final long deadline = System.nanoTime() + LIMIT.toNanos();
    while (requests(state.resolve("output.jsonl")).size() < lines) {
      assertThat(process.isAlive()).as(this::log).isTrue();
      assertThat(System.nanoTime()).as(this::log).isLessThan(deadline);
      Thread.sleep(20);
    }
  }

  /** The ids of the requests that a file, of which the end may be missing, has results of. */
  private static Set<String> requests(final Path results) throws IOException {
    final Set<String> requests = new HashSet<>();
    for (final JsonNode line : whole(results)) {
      requests.add(line.path("response").path("request_id").asText());
    }
    return requests;
  }

  /** The lines that a killed process has written to their end. */
  private static List<JsonNode> whole(final Path file) throws IOException {
    final List<JsonNode> lines = new ArrayList<>();
    if (Files.exists(file)) {
      for (final String line : Files.readAllLines(file)) {
        try {
          lines.add(JSON.readTree(line));
        } catch (final JsonProcessingException e) {
          break;
        }
      }
    }
    return lines;
  }

  private static void assertNoneRunAgain(final Path trace, final Set<String> finished)
      throws IOException {
    final Set<String> run = new HashSet<>();
    for (final JsonNode iteration : whole(trace)) {
      iteration.path("parts").forEach(part -> run.add(part.path("request").asText()));
    }
    assertThat(run).isNotEmpty();
    assertThat(run.stream().filter(finished::contains))
        .as("requests run again, of the %d finished", finished.size())
        .isEmpty();
  }

  private static long decoded(final Path trace) throws IOException {
    long tokens = 0;
    for (final JsonNode iteration : whole(trace)) {
      for (final JsonNode part : iteration.path("parts")) {
        tokens += part.path("prefill").asBoolean() ? 0 : part.path("tokens").asLong();
      }
    }
    assertThat(tokens).as("tokens in " + trace).isPositive();
    return tokens;
  }

  /** Without what tells of the run: when a result came, and what the prefix cache had. */
  private static List<String> normalised(final Path results) throws IOException {
    final List<String> lines = new ArrayList<>();
    for (final String line : Files.readAllLines(results)) {
      final JsonNode result = JSON.readTree(line);
      if (result.path("response").path("body") instanceof ObjectNode body) {
        body.remove("created");
        body.withObject("usage").remove("prompt_tokens_details");
      }
      lines.add(result.toString());
    }
    assertThat(lines).doesNotHaveDuplicates();
    return lines;
  }
}
