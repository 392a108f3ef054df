package dev.sarathi.streams.internal;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.FinishReason;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.streams.Generation;
import dev.sarathi.streams.GenerationResult;
import dev.sarathi.streams.GenerationSettings;
import dev.sarathi.streams.JobProgress;
import dev.sarathi.streams.Routed;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.processor.api.Record;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Counts by job, and jobs cancelled as a whole. */
class JobsTest {
  private static final GenerationSettings DEFAULT = GenerationSettings.DEFAULT;
  private static final Duration SECOND = Duration.ofMillis(1_100);

  @TempDir private static Path directory;
  private static GenerationEngine engine;

  private final List<JobProgress> told = new ArrayList<>();

  @BeforeAll
  static void start() {
    engine =
        GenerationEngine.start(EngineConfig.of(Path.of("../models/storyteller")).withThreads(1));
  }

  @AfterAll
  static void stop() {
    engine.close();
  }

  @Test
  void shouldCountWhatBecomesOfEachRequestOfAJob() {
    try (GenerationNode node = node(64)) {
      // when
      node.send("a", "tales 5 Once upon a time");
      node.send("b", "tales 7 Once upon a time");
      node.send("b", "tales 7 Once upon a time");
      node.send("refused", "tales 0 Once upon a time");
      node.send("other", "reviews 3 Once");
      node.send("free", "- 3 Once");
      node.untilEnded("a", "b", "refused", "other", "free");
      node.advance(SECOND);

      // then
      final JobProgress tales = last("tales");
      assertThat(tales.waiting()).isZero();
      assertThat(tales.running()).isZero();
      assertThat(tales.ended())
          .containsEntry(FinishReason.LENGTH, 2L)
          .containsEntry(FinishReason.ERROR, 1L)
          .containsEntry(FinishReason.CANCELLED, 0L);
      assertThat(tales.completionTokens()).isEqualTo(12);
      assertThat(tales.promptTokens())
          .isEqualTo(
              node.completions("a").getFirst().usage().promptTokens()
                  + node.completions("b").getFirst().usage().promptTokens());
      assertThat(tales.started()).isPresent();
      assertThat(tales.finished()).isPresent();
      assertThat(last("reviews").ended()).containsEntry(FinishReason.LENGTH, 1L);
      assertThat(told).extracting(JobProgress::job).containsOnly("tales", "reviews");
    }
  }

  @Test
  void shouldTellOfAJobOnceASecondAtMost() {
    try (GenerationNode node = node(64)) {
      // when: a hundred turns within a second, of which most have tokens
      node.send("a", "tales 60 Once upon a time");
      node.untilEnded("a");
      final int before = told.size();
      node.advance(SECOND);

      // then
      assertThat(before).isLessThanOrEqualTo(2);
      assertThat(told).hasSizeGreaterThan(before);
      final int after = told.size();
      node.advance(SECOND);
      assertThat(told).as("nothing has changed").hasSize(after);
    }
  }

  @Test
  void shouldCountNothingTwiceAfterACrash() {
    try (GenerationNode earlier = node(1);
        GenerationNode later = node(1)) {
      // given: one of three runs, with tokens written down, and the others wait
      IntStream.range(0, 3).forEach(i -> earlier.send("r" + i, "tales 400 Once upon a time"));
      earlier.until(() -> !earlier.parts("r0").isEmpty());
      final int emitted = earlier.tokens("r0").size();
      earlier.advance(SECOND);
      assertThat(last("tales").waiting()).isEqualTo(2);
      assertThat(last("tales").running()).isEqualTo(1);
      assertThat(last("tales").finished()).isEmpty();
      assertThat(last("tales").completionTokens()).isGreaterThanOrEqualTo(emitted);

      // when
      later.restoreFrom(earlier);
      told.clear();
      later.advance(SECOND);
      later.advance(SECOND);

      // then
      assertThat(last("tales").waiting() + last("tales").running()).isEqualTo(3);
      assertThat(last("tales").running()).isEqualTo(1);

      // and when they end
      later.untilEnded("r0", "r1", "r2");
      later.advance(SECOND);

      // then
      assertThat(last("tales").ended()).containsEntry(FinishReason.LENGTH, 3L);
      assertThat(last("tales").waiting() + last("tales").running()).isZero();
      assertThat(last("tales").completionTokens()).isEqualTo(1200);
    }
  }

  @Test
  void shouldCancelWhatWaitsRunsAndComesOfAJobAndNothingElse() {
    try (GenerationNode node = node(2)) {
      // given
      node.send("running", "tales 3000 Once upon a time");
      node.until(() -> !node.parts("running").isEmpty());
      IntStream.range(0, 5).forEach(i -> node.send("waiting-" + i, "tales 3000 Once"));
      node.send("other", "reviews 5 Once");

      // when, and once more
      cancel(node, "tales");
      cancel(node, "tales");
      node.send("late", "tales 5 Once");
      node.untilEnded("running", "waiting-0", "waiting-4", "late", "other");
      node.advance(SECOND);

      // then
      assertThat(List.of("running", "waiting-0", "waiting-1", "waiting-4", "late"))
          .allSatisfy(
              id -> {
                assertThat(node.completions(id)).as(id).hasSize(1);
                assertThat(node.finish(id).orElseThrow().reason())
                    .as(id)
                    .isEqualTo(FinishReason.CANCELLED);
              });
      assertThat(node.finish("other").orElseThrow().reason()).isEqualTo(FinishReason.LENGTH);
      final JobProgress tales = last("tales");
      assertThat(tales.cancelRequested()).isTrue();
      assertThat(tales.ended()).containsEntry(FinishReason.CANCELLED, 7L);
      assertThat(tales.waiting() + tales.running()).isZero();
      assertThat(last("reviews").cancelRequested()).isFalse();
      assertThat(node.keys(node.requests())).isEmpty();
    }
  }

  @Test
  void shouldGoOnCancellingAfterACrash() {
    try (GenerationNode earlier = node(1);
        GenerationNode later = node(1)) {
      // given: a cancellation is stored, and not one turn has passed since
      IntStream.range(0, 4).forEach(i -> earlier.send("r" + i, "tales 3000 Once upon a time"));
      cancel(earlier, "tales");

      // when
      later.restoreFrom(earlier);
      later.untilEnded("r0", "r1", "r2", "r3");
      later.advance(SECOND);

      // then
      assertThat(last("tales").ended()).isEqualTo(ended(Map.of(FinishReason.CANCELLED, 4L)));
    }
  }

  @Test
  void shouldCancelMoreThanOneTurnLooksAt() {
    try (GenerationNode node = node(1)) {
      // given
      final int requests = 2_300;
      for (int i = 0; i < requests; i++) {
        node.send("r" + i, (i % 2 == 0 ? "tales" : "reviews") + " 3000 Once");
      }

      // when
      cancel(node, "tales");
      for (int turn = 0; turn < 6; turn++) {
        node.turn();
      }
      node.advance(SECOND);

      // then
      assertThat(last("tales").ended()).containsEntry(FinishReason.CANCELLED, requests / 2L);
      assertThat(last("reviews").waiting() + last("reviews").running()).isEqualTo(requests / 2);
    }
  }

  // ---- the node

  /** A cancellation has a header, so that a request may be named as a job is. */
  private static void cancel(final GenerationNode node, final String job) {
    final Headers headers = new RecordHeaders();
    headers.add("cancel-job", "true".getBytes(StandardCharsets.UTF_8));
    node.send(job, null, headers);
  }

  private JobProgress last(final String job) {
    return told.stream()
        .filter(progress -> progress.job().equals(job))
        .reduce((earlier, later) -> later)
        .orElseThrow();
  }

  private static Map<FinishReason, Long> ended(final Map<FinishReason, Long> some) {
    final Map<FinishReason, Long> all = new java.util.EnumMap<>(FinishReason.class);
    for (final FinishReason reason : FinishReason.values()) {
      all.put(reason, some.getOrDefault(reason, 0L));
    }
    return all;
  }

  private GenerationNode node(final int window) {
    final Generation<String, String, GenerationResult<String, String>> generation =
        GenerationProcessorTest.draft(engine, JobsTest::request)
            .settings(
                new GenerationSettings(
                    window,
                    DEFAULT.maxUncommittedTokens(),
                    DEFAULT.maxTokensPerRecord(),
                    DEFAULT.drainInterval(),
                    DEFAULT.dedupRetention(),
                    DEFAULT.maxAttempts(),
                    DEFAULT.onModelChange(),
                    DEFAULT.bulkAging(),
                    DEFAULT.maxRequestBytes()))
            .<GenerationResult<String, String>>results(
                result ->
                    List.of(
                        new Routed<>(
                            new Record<>(result.id(), result, 0, result.origin().headers()),
                            Optional.empty())))
            .jobs(
                value -> Optional.of(value.split(" ")[0]).filter(job -> !job.equals("-")),
                (key, headers) ->
                    Optional.ofNullable(headers.lastHeader("cancel-job")).map(_ -> key),
                progress -> {
                  told.add(progress);
                  return List.of();
                })
            .as("generate");
    return new GenerationNode(GenerationProcessorTest.topology(generation), directory);
  }

  /** {@code JOB MAX_TOKENS PROMPT} */
  private static GenerationRequest request(final String id, final String value) {
    final String[] parts = value.split(" ", 3);
    return GenerationRequest.of(id, parts[2])
        .withMaxTokens(Integer.parseInt(parts[1]))
        .withIgnoreEos(true);
  }
}
