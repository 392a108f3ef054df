package dev.sarathi.streams.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** Jobs from submission to cancellation, with a broker and the application. */
class JobsCommandTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration LIMIT = Duration.ofSeconds(120);
  private static final int REQUESTS = 30;

  /** So many long choices that they run on until they are cancelled, however fast the machine. */
  private static final int ENDLESS = 32;

  @TempDir private Path directory;

  /** What a command printed. */
  private record Printed(int code, String out, String err) {
    private JsonNode job(final String name) throws Exception {
      for (final String line : out.lines().toList()) {
        final JsonNode job = JSON.readTree(line);
        if (job.path("job_id").asText().equals(name)) {
          return job;
        }
      }
      return JSON.createObjectNode();
    }
  }

  @Test
  void shouldShowJobsAndCancelOneAsAWhole() throws Exception {
    try (DevelopmentBroker broker =
            DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")));
        Application _ = Application.start(properties(broker))) {
      // given: one job has ended, and another has more requests than run at once
      final String bootstrap = "--bootstrap-server=" + broker.bootstrapServers();
      submit(bootstrap, "reviews", 2, 5, 1);
      await(bootstrap, job("reviews", "length", 2));
      submit(bootstrap, "tales", REQUESTS, 3_000, ENDLESS);
      await(bootstrap, job("tales", "running", 2));

      // when
      final Printed cancelled = run("jobs", "cancel", bootstrap, "tales");
      assertThat(cancelled.code()).as(cancelled.err()).isZero();

      // then
      await(bootstrap, job("tales", "cancelled", REQUESTS));
      final Printed jobs = run("jobs", bootstrap, "--json");
      assertThat(jobs.job("tales").path("state").asText()).isEqualTo("cancelled");
      assertThat(jobs.job("tales").path("waiting").asInt()).isZero();
      assertThat(jobs.job("tales").path("completion_tokens").asInt()).isPositive();
      assertThat(jobs.job("tales").path("finished_at").isTextual()).isTrue();
      assertThat(jobs.job("reviews").path("state").asText()).isEqualTo("finished");
      assertThat(jobs.job("reviews").path("completion_tokens").asInt()).isEqualTo(10);
      assertThat(run("jobs", bootstrap).out()).contains("tales", "cancelled", "reviews");

      // and what comes later ends at once
      submit(bootstrap, "tales", REQUESTS + 1, 3_000, ENDLESS);
      await(bootstrap, job("tales", "cancelled", REQUESTS + 1));
      assertThat(reasons(broker, "tales"))
          .hasSize(REQUESTS + 1)
          .containsOnly(FinishReason.CANCELLED);

      // and of a job that nobody knows it says so
      assertThat(run("jobs", "cancel", bootstrap, "tails").code()).isOne();
      assertThat(run("jobs", bootstrap, "tails").err()).contains("there is no job tails");
    }
  }

  private Map<String, Object> properties(final DevelopmentBroker broker) {
    final Map<String, Object> properties = new HashMap<>();
    properties.put("bootstrap.servers", broker.bootstrapServers());
    properties.put("application.id", "jobs");
    properties.put("schema.registry.url", "mock://sarathi");
    properties.put("state.dir", directory.resolve("state").toString());
    properties.put("sarathi.model", Path.of("../models/storyteller").toString());
    properties.put("sarathi.cpu.threads", 1);
    properties.put("sarathi.engine.window", 1);
    properties.put("sarathi.topics.partitions", 2);
    return properties;
  }

  /** The ids of those that were submitted before are the same: they are dropped. */
  private void submit(
      final String bootstrap,
      final String job,
      final int requests,
      final int maxTokens,
      final int choices)
      throws Exception {
    final List<String> lines = new ArrayList<>();
    for (int i = 0; i < requests; i++) {
      lines.add(
          "{\"id\":\"%s-%d\",\"prompt\":\"Once upon a time\",\"ignore_eos\":true,\"n\":%d}"
              .formatted(job, i, choices));
    }
    final Path file = Files.write(directory.resolve("prompts.jsonl"), lines);
    final Printed printed =
        run("submit", bootstrap, "--file=" + file, "--max-tokens=" + maxTokens, "--job=" + job);
    assertThat(printed.code()).as(printed.err()).isZero();
  }

  /** A number that a job comes to. */
  private record Expected(String job, String field, int value) {}

  private static Expected job(final String job, final String field, final int value) {
    return new Expected(job, field, value);
  }

  private static void await(final String bootstrap, final Expected number) throws Exception {
    final long deadline = System.nanoTime() + LIMIT.toNanos();
    while (true) {
      final Printed jobs = run("jobs", bootstrap, "--json");
      assertThat(jobs.code()).as(jobs.err()).isZero();
      if (jobs.job(number.job()).path(number.field()).asInt(-1) == number.value()) {
        return;
      }
      assertThat(System.nanoTime()).as(jobs.out()).isLessThan(deadline);
      Thread.sleep(100);
    }
  }

  private static List<FinishReason> reasons(final DevelopmentBroker broker, final String job) {
    final List<FinishReason> reasons = new ArrayList<>();
    try (BatchExchange exchange =
        new BatchExchange(
            Map.of(
                "bootstrap.servers",
                broker.bootstrapServers(),
                "schema.registry.url",
                "mock://sarathi"),
            "prompts",
            "completions")) {
      exchange.seek(List.of());
      final List<Long> ends = exchange.ends();
      while (!exchange.hasRead(ends)) {
        for (final Completion completion : exchange.poll(Duration.ofMillis(100))) {
          if (completion.getJobId().filter(job::equals).isPresent()) {
            reasons.add(completion.getFinishReason());
          }
        }
      }
    }
    return reasons;
  }

  private static Printed run(final String... arguments) {
    final StringWriter out = new StringWriter();
    final StringWriter err = new StringWriter();
    final CommandLine commandLine =
        Sarathi.commandLine().setOut(new PrintWriter(out)).setErr(new PrintWriter(err));
    final int code = commandLine.execute(arguments);
    return new Printed(code, out.toString(), err.toString());
  }
}
