package dev.sarathi.streams.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.runtime.ChatMessage;
import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.EngineFailedException;
import dev.sarathi.runtime.Finish;
import dev.sarathi.runtime.FinishReason;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.InvalidRequestException;
import dev.sarathi.runtime.Priority;
import dev.sarathi.runtime.Prompt;
import dev.sarathi.runtime.Sampling;
import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.runtime.TokenListener;
import dev.sarathi.streams.Generation;
import dev.sarathi.streams.GenerationResult;
import dev.sarathi.streams.GenerationResult.Completion;
import dev.sarathi.streams.GenerationResult.Tokens;
import dev.sarathi.streams.GenerationSettings;
import dev.sarathi.streams.ModelChange;
import dev.sarathi.streams.Origin;
import dev.sarathi.streams.Routed;
import dev.sarathi.streams.internal.stored.StoredAttempt;
import dev.sarathi.streams.internal.stored.StoredChunk;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiFunction;
import java.util.stream.Stream;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsException;
import org.apache.kafka.streams.errors.TaskMigratedException;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.test.TestRecord;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The processor with the real engine and the bundled model, in a driver that owns the clock. */
class GenerationProcessorTest {
  private static final Path MODEL = Path.of("../models/storyteller");
  private static final String PROMPT = "Once upon a time";

  @TempDir private static Path directory;
  private static GenerationEngine engine;

  @BeforeAll
  static void start() {
    engine = GenerationEngine.start(EngineConfig.of(MODEL).withThreads(1));
  }

  @AfterAll
  static void stop() {
    engine.close();
  }

  // ---- tokens and completions

  @Test
  void shouldForwardEveryTokenOnceAndOneTerminal() {
    try (GenerationNode node = node()) {
      // when
      node.send("a", "100 " + PROMPT);
      node.untilEnded("a");

      // then
      assertAsOracle(node, "a", request("a", "100 " + PROMPT));
      assertThat(node.finish("a").orElseThrow().usage().completionTokens()).isEqualTo(100);
      assertThat(node.parts("a").getFirst().provenance().attempt()).isEqualTo(1);
    }
  }

  @Test
  void shouldCutRunsOfTokensToWhatARecordMayHold() {
    try (GenerationNode node = node(settings().maxTokensPerRecord(7).get())) {
      // when
      node.send("a", "50 " + PROMPT);
      node.untilEnded("a");

      // then
      assertThat(node.parts("a")).allMatch(part -> part.tokens().size() <= 7);
      assertAsOracle(node, "a", request("a", "50 " + PROMPT));
    }
  }

  @Test
  void shouldStampRecordsWithTheEmissionAndCarryTheHeaders() {
    // given
    final Headers headers = new RecordHeaders();
    headers.add("traceparent", "00-1-2-01".getBytes(StandardCharsets.UTF_8));
    try (GenerationNode node = node()) {
      // when
      node.send("a", "20 " + PROMPT, headers);
      node.send("refused", "0 " + PROMPT, headers);
      node.untilEnded("a", "refused");

      // then
      assertThat(node.records)
          .extracting(record -> record.value().getClass().getSimpleName())
          .contains("Tokens", "Completion", "Rejected");
      assertThat(node.records)
          .allSatisfy(record -> assertThat(record.headers()).isEqualTo(headers));
    }
    // and, of the builder's own records, the time is the engine's, not the drain's
    try (GenerationNode node =
        new GenerationNode(
            topology(
                draft(GenerationProcessorTest::request)
                    .<GenerationResult<String, String>>completions(completion -> completion)
                    .as("generate")),
            directory)) {
      node.send("a", "20 " + PROMPT);
      node.turn();
      node.turn();
      oracle(request("later", "100 " + PROMPT));
      node.untilEnded("a");
      assertThat(node.records)
          .singleElement()
          .satisfies(
              record ->
                  assertThat(record.getRecordTime())
                      .isEqualTo(
                          ((Completion<String, String>) record.value())
                              .emittedAt()
                              .truncatedTo(ChronoUnit.MILLIS)));
    }
  }

  @Test
  void shouldKeepProgressInChunksAndNothingAfterTheEnd() {
    // A turn sees at most 30 tokens, so one of them falls between the 128th and the last.
    try (GenerationNode node = node(settings().maxUncommittedTokens(30).get())) {
      node.send("a", "170 " + PROMPT);
      final Bytes position = node.position();

      // when, then: full chunks, the open one, and all that was forwarded
      int most = 0;
      while (node.finish("a").isEmpty()) {
        node.turn();
        GenerationNode.pause();
        final List<StoredChunk> chunks = node.chunks(position);
        for (int i = 0; i < chunks.size() - 1; i++) {
          assertThat(chunks.get(i).getTokens()).as("chunk %d", i).hasSize(64);
        }
        if (node.finish("a").isEmpty()) {
          assertThat(chunks.stream().flatMap(chunk -> chunk.getTokens().stream()).toList())
              .isEqualTo(node.tokens("a"));
        }
        most = Math.max(most, chunks.size());
      }
      assertThat(most).isEqualTo(3);
      assertThat(node.keys(node.progress())).isEmpty();
      assertThat(node.keys(node.requests())).isEmpty();
      assertAsOracle(node, "a", request("a", "170 " + PROMPT));
    }
  }

  @Test
  void shouldTagItsMetricsInOneOrderSoThatTheyShareABean() {
    try (GenerationNode node = node()) {
      node.send("a", "1 " + PROMPT);

      assertThat(node.tagOrders()).containsExactly(List.of("thread-id", "generation-id"));
    }
  }

  // ---- resume

  @Test
  void shouldResumeWhereTheEarlierIncarnationCommitted() {
    final GenerationSettings slow = settings().maxUncommittedTokens(20).get();
    final Map<String, String> prompts = Map.of("a", "200 " + PROMPT, "b", "180 The little dog");
    try (GenerationNode later = node(slow)) {
      final List<TestRecord<String, GenerationResult<String, String>>> committed;
      try (GenerationNode earlier = node(slow)) {
        // given: two generations under way
        prompts.forEach(earlier::send);
        earlier.until(() -> earlier.tokens("a").size() > 50 && earlier.tokens("b").size() > 50);
        later.restoreFrom(earlier);
        committed = earlier.records;
      }

      // when
      later.untilEnded("a", "b");

      // then: both go on, and what the earlier run of the engine still yielded is nowhere
      assertThat(later.parts("a")).allMatch(part -> part.provenance().attempt() == 2);
      assertThat(later.parts("a").getFirst().index()).isGreaterThan(50);
      later.records.addAll(0, committed);
      prompts.forEach((id, prompt) -> assertAsOracle(later, id, request(id, prompt)));
    }
  }

  @Test
  void shouldWriteNothingBeforeARecordHasComeToATaskWithUnfinishedRequests() {
    final Topology fencing =
        topology(
                draft(GenerationProcessorTest::request)
                    .settings(settings().maxUncommittedTokens(20).get())
                    .<GenerationResult<String, String>>results(
                        result -> routed(result, Optional.of("sink")))
                    .fencing(
                        partition ->
                            new Routed<>(
                                new Record<>("fence-" + partition, null, 0), Optional.of("fences")),
                        headers -> headers.lastHeader("fence") != null)
                    .as("generate"))
            .addSink(
                "fences", "fences", new StringSerializer(), (topic, result) -> null, "generate");
    try (GenerationNode later = new GenerationNode(fencing, directory)) {
      try (GenerationNode earlier = new GenerationNode(fencing, directory)) {
        // given: a generation under way, which needed no fence since its prompt had just come
        earlier.send("a", "100 " + PROMPT);
        earlier.until(() -> earlier.tokens("a").size() > 20);
        assertThat(earlier.keysIn("fences")).isEmpty();
        later.restoreFrom(earlier);
      }

      // when a task is taken up to which nothing comes
      for (int i = 0; i < 50; i++) {
        later.turn();
        GenerationNode.pause();
      }

      // then it sends one fence, and nothing else
      assertThat(later.keysIn("fences")).containsExactly("fence-0");
      assertThat(later.records).isEmpty();
      assertThat(later.total("resumed")).isZero();

      // when the fence comes, or any record
      later.send("fence-0", null, new RecordHeaders().add("fence", new byte[0]));
      later.untilEnded("a");

      // then it goes on, and takes the fence for no request
      assertThat(later.keysIn("fences")).isEmpty();
      assertThat(later.parts("a").getFirst().index()).isGreaterThan(20);
      assertThat(later.records).allMatch(record -> record.value().id().equals("a"));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 63, 64, 65, 128, 149})
  void shouldResumeAtAnyToken(final int emitted) {
    // given: so many tokens were committed
    final List<TokenDelta> all = oracle(request("a", "150 " + PROMPT));
    try (GenerationNode node = node(settings().maxUncommittedTokens(16).get())) {
      node.send("a", "150 " + PROMPT);
      final Bytes position = node.position();
      storeAttempt(node, new StoredAttempt(1, 0, engine.fingerprint()));
      for (int chunk = 0; chunk * 64 < emitted; chunk++) {
        final List<TokenDelta> deltas = all.subList(chunk * 64, Math.min(chunk * 64 + 64, emitted));
        node.progress()
            .put(
                Position.chunkKey(position, 0, chunk),
                GenerationStores.encode(
                    new StoredChunk(tokens(deltas), text(deltas), List.of(), null)));
      }

      // when
      node.untilEnded("a");

      // then
      final List<TokenDelta> rest = all.subList(emitted, all.size());
      assertThat(node.parts("a").getFirst().index()).isEqualTo(emitted);
      assertThat(node.tokens("a")).isEqualTo(tokens(rest));
      assertThat(node.text("a")).isEqualTo(text(rest));
      assertThat(node.completions("a"))
          .singleElement()
          .satisfies(
              completion -> {
                assertThat(completion.tokens()).isEqualTo(tokens(all));
                assertThat(completion.text()).isEqualTo(text(all));
              });
    }
  }

  @Test
  void shouldTakeUpStoredRequestsThoughNewOnesComeFirst() {
    try (GenerationNode earlier = node();
        GenerationNode later = node()) {
      // given
      earlier.send("old", "5 " + PROMPT);
      later.restoreFrom(earlier);

      // when: records are at hand before the first turn, as after every restart under load
      later.send("new", "5 " + PROMPT);
      later.untilEnded("new", "old");

      // then
      assertThat(later.ends()).containsExactlyInAnyOrder("old", "new");
    }
  }

  // ---- identity

  @Test
  void shouldServeAllRequestsThatCameOfOneRecord() {
    // given: upstream, one record becomes three, all of one topic, offset and millisecond
    final StreamsBuilder builder = new StreamsBuilder();
    builder.stream("prompts", Consumed.with(Serdes.String(), Serdes.String()))
        .flatMap(
            (key, value) ->
                Stream.of("1", "2", "3").map(n -> KeyValue.pair(key + n, value + n)).toList())
        .process(generation(GenerationSettings.DEFAULT))
        .to("results", Produced.with(Serdes.String(), GenerationNode.resultSerde()));
    try (GenerationNode node = new GenerationNode(builder.build(), directory)) {
      // when
      node.send("a", "5 " + PROMPT);
      node.untilEnded("a1", "a2", "a3");

      // then
      assertThat(node.ends()).containsExactlyInAnyOrder("a1", "a2", "a3");
      assertAsOracle(node, "a2", request("a2", "5 " + PROMPT + "2"));
    }
  }

  @Test
  void shouldNameARequestWithoutAnIdAfterItsRecord() {
    try (GenerationNode node = node()) {
      // when
      node.send("first", "5 " + PROMPT);
      node.send(null, "5 " + PROMPT);
      node.untilEnded("prompts-0-1");

      // then
      assertAsOracle(node, "prompts-0-1", request("prompts-0-1", "5 " + PROMPT));
    }
  }

  @Test
  void shouldDropARepetitionAndRejectAnotherRequestOfTheSameId() {
    try (GenerationNode node = node()) {
      // given
      node.send("a", "30 " + PROMPT);

      // when: while it waits, while it runs, and after it
      node.send("a", "30 " + PROMPT);
      node.until(() -> !node.tokens("a").isEmpty());
      node.send("a", "30 " + PROMPT);
      node.send("a", "31 " + PROMPT);
      node.untilEnded("a");
      node.send("a", "30 " + PROMPT);
      node.send("a", "30 The little dog");
      node.turn();
      node.turn();
      node.turn();

      // then
      assertAsOracle(node, "a", request("a", "30 " + PROMPT));
      assertThat(node.rejections("a"))
          .hasSize(2)
          .allSatisfy(
              rejected ->
                  assertThat(rejected.reason())
                      .hasMessageContaining("id: a belongs to another request"));
      assertThat(node.keys(node.requests())).isEmpty();
    }
  }

  @Test
  void shouldServeWhatIsPutBackFromTheDeadLettersOnceMore() {
    // given: a mapper that refuses at first
    final AtomicBoolean refuses = new AtomicBoolean(true);
    final BiFunction<String, String, GenerationRequest> mapper =
        (key, value) -> {
          if (refuses.get() && key.equals("failed")) {
            throw new InvalidRequestException("model", "is not served");
          }
          return request(key, value);
        };
    try (GenerationNode node = node(draft(mapper))) {
      node.send("failed", "5 " + PROMPT);
      node.send("served", "5 " + PROMPT);
      node.untilEnded("failed", "served");

      // when it is put back too early
      node.send("failed", "5 " + PROMPT, requeued("dead-letters-0-0"));

      // then it ends in an error once more
      assertThat(node.completions("failed")).hasSize(2);
      assertThat(node.rejections("failed")).hasSize(2);

      // when: the same from its producer; put back; put back while it runs, and after it
      refuses.set(false);
      node.send("failed", "5 " + PROMPT);
      node.send("failed", "5 " + PROMPT, requeued("dead-letters-0-1"));
      node.send("failed", "5 " + PROMPT, requeued("dead-letters-0-2"));
      node.until(() -> node.completions("failed").size() == 3);
      node.advance(Duration.ofSeconds(1));
      node.send("failed", "5 " + PROMPT, requeued("dead-letters-0-3"));
      node.send("served", "5 " + PROMPT, requeued("dead-letters-0-4"));
      node.turn();
      node.turn();
      node.turn();

      // then
      assertThat(node.completions("failed"))
          .extracting(completion -> completion.finish().reason())
          .containsExactly(FinishReason.ERROR, FinishReason.ERROR, FinishReason.LENGTH);
      assertThat(node.completions("served")).hasSize(1);
      assertThat(node.keys(node.requests())).isEmpty();
    }
  }

  private static Headers requeued(final String from) {
    return new RecordHeaders()
        .add(Origin.REQUEUED_FROM_HEADER, from.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void shouldForgetAFinishedIdAfterTheRetention() {
    final Duration retention = Duration.ofMinutes(10);
    try (GenerationNode node = node(settings().dedupRetention(retention).get())) {
      // given
      node.send("a", "5 " + PROMPT);
      node.untilEnded("a");

      // when, then
      node.advance(retention.minusSeconds(10));
      node.send("a", "5 " + PROMPT);
      assertThat(node.keys(node.requests())).isEmpty();

      // when, then
      node.advance(Duration.ofSeconds(20));
      node.send("a", "5 " + PROMPT);
      node.until(() -> node.completions("a").size() == 2);
    }
  }

  @Test
  void shouldKnowAnIdThatAnInstanceWithAnEarlyClockHasFinished() {
    final Instant now = Instant.now();
    final Topology topology = topology(generation(GenerationSettings.DEFAULT));
    try (GenerationNode early =
            new GenerationNode(
                topology, directory, StreamsConfig.EXACTLY_ONCE_V2, now.plusSeconds(30));
        GenerationNode late =
            new GenerationNode(topology, directory, StreamsConfig.EXACTLY_ONCE_V2, now)) {
      // given
      early.send("a", "5 " + PROMPT);
      early.untilEnded("a");
      late.restoreFrom(early);

      // when
      late.send("a", "5 " + PROMPT);

      // then
      assertThat(late.keys(late.requests())).isEmpty();
    }
  }

  // ---- cancellation and deadlines

  @Test
  void shouldCancelARequestThatWaits() {
    try (GenerationNode node = node(settings().window(1).get())) {
      // given
      node.send("running", "30 " + PROMPT);
      node.send("waiting", "30 " + PROMPT);
      node.until(() -> !node.tokens("running").isEmpty());

      // when
      node.cancel("waiting");
      node.untilEnded("running", "waiting");

      // then
      assertThat(node.ends()).containsExactlyInAnyOrder("running", "waiting");
      assertEnd(node, "waiting", FinishReason.CANCELLED);
      assertThat(node.tokens("waiting")).isEmpty();
      assertThat(node.keys(node.requests())).isEmpty();
    }
  }

  @Test
  void shouldCancelARequestThatRunsAndSayWhatItHadEmitted() {
    try (GenerationNode node = node(settings().maxUncommittedTokens(20).get())) {
      // given
      node.send("a", "400 " + PROMPT);
      node.until(() -> node.tokens("a").size() > 30);

      // when
      node.cancel("a");
      node.untilEnded("a");

      // then
      assertEnd(node, "a", FinishReason.CANCELLED);
      final Completion<String, String> completion = node.completions("a").getFirst();
      assertThat(completion.tokens()).hasSizeGreaterThan(30).isEqualTo(node.tokens("a"));
      assertThat(completion.text()).isNotEmpty().isEqualTo(node.text("a"));
      assertThat(completion.finish().usage().completionTokens())
          .isEqualTo(completion.tokens().size());
      assertThat(completion.finish().usage().promptTokens()).isPositive();
      assertThat(node.keys(node.progress())).isEmpty();
    }
  }

  @Test
  void shouldIgnoreACancellationOfNothing() {
    try (GenerationNode node = node()) {
      // when
      node.cancel("nobody");
      node.send("a", "5 " + PROMPT);
      node.untilEnded("a");
      node.cancel("a");
      node.cancel(null);
      node.turn();

      // then
      assertThat(node.ends()).containsExactly("a");
      assertThat(node.completions("a")).hasSize(1);
    }
  }

  @Test
  void shouldRejectATombstoneThatNamesNoRequest() {
    try (GenerationNode node =
        node(
            draft(GenerationProcessorTest::request).cancelledBy(key -> Optional.of(key.strip())))) {
      // when
      node.cancel(null);

      // then
      assertThat(assertEnd(node, "prompts-0-0", FinishReason.ERROR).error().orElseThrow())
          .startsWith("key: does not tell which request to cancel");
      assertThat(node.rejections("prompts-0-0").getFirst().origin().value()).isEmpty();
    }
  }

  @Test
  void shouldEndARequestWhoseDeadlinePassedWhileItWaited() {
    final Instant deadline = Instant.now().plusMillis(100);
    final BiFunction<String, String, GenerationRequest> mapper =
        (key, value) ->
            key.equals("waiting")
                ? request(key, value).withDeadline(deadline)
                : request(key, value);
    try (GenerationNode node =
        node(draft(mapper).settings(settings().window(1).maxUncommittedTokens(10).get()))) {
      // given
      node.send("running", "2000 " + PROMPT);
      node.send("waiting", "30 " + PROMPT);
      node.until(() -> Instant.now().isAfter(deadline));
      assertThat(node.ends()).isEmpty();

      // when
      node.cancel("running");
      node.untilEnded("waiting");

      // then
      assertEnd(node, "waiting", FinishReason.DEADLINE);
      assertThat(node.tokens("waiting")).isEmpty();
    }
  }

  @Test
  void shouldServeARequestWhoseDeadlineIsTooFarToCount() {
    try (GenerationNode node =
        node(draft((key, value) -> request(key, value).withDeadline(Instant.MAX)))) {
      // when
      node.send("a", "5 " + PROMPT);
      node.untilEnded("a");

      // then
      assertAsOracle(node, "a", request("a", "5 " + PROMPT));
    }
  }

  // ---- the window

  @Test
  void shouldServeInteractiveBeforeBulkButAgedBulkFirst() {
    try (GenerationNode node = node(settings().window(1).maxUncommittedTokens(10).get())) {
      // given: the window is taken while the others come
      node.send("first", "40 " + PROMPT);
      node.turn();
      node.send("aged-bulk", "bulk 5 " + PROMPT);
      node.advance(settings().get().bulkAging().plusMillis(1));
      node.send("bulk", "bulk 5 " + PROMPT);
      node.send("second", "5 " + PROMPT);
      node.send("third", "5 " + PROMPT);

      // when
      node.untilEnded("bulk");

      // then
      assertThat(node.ends()).containsExactly("first", "aged-bulk", "second", "third", "bulk");
    }
  }

  @Test
  void shouldServeABacklogManyTimesTheWindow() {
    try (GenerationNode node = node(settings().window(2).get())) {
      // given
      final List<String> ids = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        ids.add("request-" + i);
        node.send("request-" + i, (1 + i % 5) + " " + PROMPT);
        if (i % 7 == 0) {
          node.turn();
        }
      }

      // when
      node.untilEnded(ids.toArray(String[]::new));

      // then
      assertThat(node.ends()).containsExactlyInAnyOrderElementsOf(ids);
    }
  }

  // ---- attempts and model changes

  @Test
  void shouldStoreTheAttemptBeforeTheEngineHasTheRequest() {
    try (GenerationNode node = node()) {
      // given
      node.send("a", "5 " + PROMPT);

      // when: one turn only
      node.turn();

      // then
      final Bytes key = Position.attemptKey(node.position());
      assertThat(node.progress().get(key))
          .isEqualTo(GenerationStores.encode(new StoredAttempt(1, 1, null)));

      // when: it gets on
      node.untilEnded("a");

      // then
      assertThat(node.progress().get(key)).isNull();
    }
  }

  @Test
  void shouldEndARequestThatWasTakenUpTooOften() {
    try (GenerationNode node = node(settings().maxAttempts(2).get())) {
      // given
      node.send("a", "5 " + PROMPT);
      storeAttempt(node, new StoredAttempt(7, 2, null));

      // when
      node.untilEnded("a");

      // then
      assertThat(assertEnd(node, "a", FinishReason.ERROR).error().orElseThrow())
          .isEqualTo("taken up 2 times without a new token; sarathi.max.attempts is 2");
      assertThat(node.tokens("a")).isEmpty();
    }
  }

  @Test
  void shouldMakeLastAttemptsOneAfterTheOther() {
    try (GenerationNode node = node(settings().maxAttempts(3).get())) {
      // given: one of these may have killed the process twice
      node.send("a", "5 " + PROMPT);
      node.send("b", "5 " + PROMPT);
      node.send("c", "5 " + PROMPT);
      final List<Bytes> positions = node.keys(node.requests());
      positions.forEach(
          position ->
              node.progress()
                  .put(
                      Position.attemptKey(position),
                      GenerationStores.encode(new StoredAttempt(2, 2, null))));

      // when
      node.turn();

      // then
      assertThat(positions)
          .extracting(
              position ->
                  GenerationStores.decode(
                          node.progress().get(Position.attemptKey(position)),
                          StoredAttempt::fromByteBuffer)
                      .getWithoutProgress())
          .containsExactly(3, 2, 2);

      // when
      node.untilEnded("a", "b", "c");

      // then
      for (final String id : List.of("a", "b", "c")) {
        assertAsOracle(node, id, request(id, "5 " + PROMPT));
      }
    }
  }

  @Test
  void shouldNotHoldAnAttemptAgainstARequestThatLostItsTask() {
    final GenerationSettings once = settings().maxAttempts(1).get();
    final Topology topology = topology(generation(once));
    try (GenerationNode changelog = node()) {
      // given: the task is taken away before a token came, as in a rebalance
      try (GenerationNode earlier = new GenerationNode(topology, directory)) {
        earlier.send("a", "5 " + PROMPT);
        earlier.turn();
        changelog.restoreFrom(earlier);
      }

      // when: it comes back
      try (GenerationNode later = new GenerationNode(topology, directory)) {
        later.restoreFrom(changelog);
        later.untilEnded("a");

        // then
        assertAsOracle(later, "a", request("a", "5 " + PROMPT));
        assertThat(later.parts("a").getFirst().provenance().attempt()).isEqualTo(2);
      }

      // when: it comes to another process, as after a crash
      try (GenerationNode elsewhere = node(once)) {
        elsewhere.restoreFrom(changelog);
        elsewhere.untilEnded("a");

        // then
        assertEnd(elsewhere, "a", FinishReason.ERROR);
      }
    }
  }

  @Test
  void shouldEndAHalfDoneGenerationOfAnotherModel() {
    try (GenerationNode node = node()) {
      // given
      node.send("a", "5 " + PROMPT);
      storeHalfDone(node, "another-model");

      // when
      node.untilEnded("a");

      // then
      assertThat(assertEnd(node, "a", FinishReason.ERROR).error().orElseThrow())
          .contains("from another-model to " + engine.fingerprint())
          .contains("sarathi.on.model.change=continue");
      final Completion<String, String> completion = node.completions("a").getFirst();
      assertThat(completion.tokens()).containsExactly(5);
      assertThat(completion.provenance().fingerprint()).isEqualTo(engine.fingerprint());
      assertThat(completion.provenance().previousFingerprint()).contains("another-model");
    }
  }

  @Test
  void shouldGoOnWithAnotherModelIfToldTo() {
    try (GenerationNode node = node(settings().onModelChange(ModelChange.CONTINUE).get())) {
      // given
      node.send("a", "5 " + PROMPT);
      storeHalfDone(node, "another-model");

      // when
      node.untilEnded("a");

      // then
      final Completion<String, String> completion = node.completions("a").getFirst();
      assertThat(completion.finish().reason()).isEqualTo(FinishReason.LENGTH);
      assertThat(completion.tokens()).hasSize(5).startsWith(5);
      assertThat(completion.provenance().previousFingerprint()).contains("another-model");
      assertThat(node.parts("a").getFirst().index()).isEqualTo(1);
    }
  }

  // ---- what cannot be served

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          empty       | prompt: is empty
          long        | prompt: has 5001 tokens, but the context holds
          temperature | temperature: NaN is not a finite number of 0 or more
          max-tokens  | max_tokens: 0 is less than 1
          oversized   | more than the limit of 16384
          undeliverable | n: 4, with these max_tokens, logprobs and prompt_logprobs, may come to a completion of 92000
          chat        | messages:
          throwing    | request: of id throwing cannot be made: java.lang.IllegalStateException: no
          null        | request: of id null cannot be made
          """)
  void shouldAnswerWhatCanNeverBeServed(final String id, final String message) {
    final BiFunction<String, String, GenerationRequest> mapper =
        (key, value) ->
            switch (key) {
              case "empty" -> GenerationRequest.of(key, "");
              case "long" -> GenerationRequest.of(key, new Prompt.Tokens(new int[5001]));
              case "temperature" -> request(key, value).withSampling(Sampling.at(Float.NaN));
              case "max-tokens" -> request(key, value).withMaxTokens(0);
              case "oversized" -> GenerationRequest.of(key, "x".repeat(20_000));
              case "undeliverable" ->
                  request(key, value).withMaxTokens(100).withChoices(4).withLogprobs(20);
              case "chat" ->
                  GenerationRequest.of(
                          key, new Prompt.Chat(List.of(new ChatMessage("ghost", "Boo"))))
                      .withChoices(3);
              case "throwing" -> throw new IllegalStateException("no");
              case "null" -> null;
              default -> request(key, value);
            };
    try (GenerationNode node =
        node(draft(mapper).settings(settings().maxRequestBytes(16 << 10).get()))) {
      // when
      node.send("good", "5 " + PROMPT);
      node.send(id, "5 " + PROMPT);

      // then: at once, in both outputs
      assertThat(assertEnd(node, id, FinishReason.ERROR).error().orElseThrow()).contains(message);
      assertThat(node.rejections(id))
          .singleElement()
          .satisfies(rejected -> assertThat(rejected.reason()).hasMessageContaining(message))
          .satisfies(rejected -> assertThat(rejected.origin().value()).contains("5 " + PROMPT));

      // when
      node.send(id, "5 " + PROMPT);
      node.untilEnded("good");

      // then: a second end would be one too many
      assertThat(node.rejections(id)).hasSize(2);
      assertThat(node.completions(id)).hasSize(1);
      assertAsOracle(node, "good", request("good", "5 " + PROMPT));
    }
  }

  @Test
  void shouldAnswerIdsThatCannotBeKeysInTheNameOfTheRecord() {
    try (GenerationNode node =
        node(
            draft(GenerationProcessorTest::request)
                .id(
                    (key, value) -> {
                      if (key.equals("throws")) {
                        throw new IllegalStateException("no id");
                      }
                      return key;
                    }))) {
      // when
      node.send("x".repeat(1025), "5 " + PROMPT);
      node.send("throws", "5 " + PROMPT);
      node.send("x".repeat(1024), "5 " + PROMPT);
      node.untilEnded("x".repeat(1024));

      // then
      assertThat(assertEnd(node, "prompts-0-0", FinishReason.ERROR).error().orElseThrow())
          .isEqualTo("id: has 1025 characters; valid is up to 1024");
      assertThat(assertEnd(node, "prompts-0-1", FinishReason.ERROR).error().orElseThrow())
          .isEqualTo("id: cannot be told of the record: java.lang.IllegalStateException: no id");
      assertEnd(node, "x".repeat(1024), FinishReason.LENGTH);
    }
  }

  // ---- what stops the node

  @Test
  void shouldRefuseWeakerGuarantees() {
    assertThatThrownBy(
            () ->
                new GenerationNode(
                    topology(generation(GenerationSettings.DEFAULT)),
                    directory,
                    StreamsConfig.AT_LEAST_ONCE,
                    Instant.now()))
        .hasStackTraceContaining(
            "Invalid value at_least_once for configuration processing.guarantee:"
                + " generation needs exactly_once_v2");
  }

  @Test
  void shouldGiveItsTaskUpWhenAResultCannotBeMade() {
    try (GenerationNode node =
        new GenerationNode(
            topology(
                draft(GenerationProcessorTest::request)
                    .<GenerationResult<String, String>>results(
                        result -> {
                          throw new IllegalStateException("this result cannot be made");
                        })
                    .as("generate")),
            directory)) {
      // given
      node.send("a", "5 " + PROMPT);

      // when, then: not an exception that a handler could take for a bad record
      assertThatThrownBy(() -> node.until(() -> false))
          .isInstanceOf(TaskMigratedException.class)
          .hasStackTraceContaining("this result cannot be made");
      assertThat(node.records).isEmpty();
    }
  }

  @Test
  void shouldStopWhenTheBrokersRefuseARight() {
    try (GenerationNode node =
        new GenerationNode(
            topology(
                draft(GenerationProcessorTest::request)
                    .<GenerationResult<String, String>>results(
                        result -> {
                          // As a send does of which the producer knows that it is refused.
                          throw new StreamsException(
                              "error sending", new TopicAuthorizationException(Set.of("tokens")));
                        })
                    .as("generate")),
            directory)) {
      // given
      node.send("a", "5 " + PROMPT);

      // when, then: not as migrated, which would be tried again for ever
      assertThatThrownBy(() -> node.until(() -> false))
          .isInstanceOf(AccessRefusedError.class)
          .hasRootCauseInstanceOf(TopicAuthorizationException.class);
      assertThat(node.keys(node.requests())).hasSize(1);
    }
  }

  @Test
  void shouldStopWithTheEngineAndKeepItsRequests() {
    final GenerationEngine broken = GenerationEngine.start(EngineConfig.of(MODEL).withThreads(1));
    try (GenerationNode node =
        new GenerationNode(
            topology(
                generation(
                    draft(broken, GenerationProcessorTest::request)
                        .settings(settings().maxUncommittedTokens(10).get()))),
            directory)) {
      // given: a generation under way
      node.send("a", "400 " + PROMPT);
      node.until(() -> !node.tokens("a").isEmpty());

      // when
      breakDown(broken);

      // then
      assertThatThrownBy(() -> node.until(() -> false))
          .isInstanceOf(EngineBrokenError.class)
          .hasMessageContaining("the engine broke down");
      assertThat(node.ends()).isEmpty();
      assertThat(node.keys(node.requests())).hasSize(1);
      assertThat(node.chunks(node.position())).isNotEmpty();
    } finally {
      broken.close();
    }
  }

  // ---- given

  /** {@code [bulk] MAX_TOKENS PROMPT} */
  private static GenerationRequest request(final String id, final String value) {
    if (value.startsWith("bulk ")) {
      return request(id, value.substring(5)).withPriority(Priority.BULK);
    }
    final int space = value.indexOf(' ');
    return GenerationRequest.of(id == null ? "none" : id, value.substring(space + 1))
        .withMaxTokens(Integer.parseInt(value.substring(0, space)))
        .withIgnoreEos(true);
  }

  private static Generation.Draft<String, String> draft(
      final BiFunction<String, String, GenerationRequest> mapper) {
    return draft(engine, mapper);
  }

  static Generation.Draft<String, String> draft(
      final GenerationEngine engine, final BiFunction<String, String, GenerationRequest> mapper) {
    return Generation.<String, String>using(engine)
        .id((key, value) -> key)
        .request(mapper)
        .carrying(Serdes.String(), Serdes.String())
        .cancelledBy(Optional::ofNullable);
  }

  private static Generation<String, String, GenerationResult<String, String>> generation(
      final GenerationSettings settings) {
    return generation(draft(GenerationProcessorTest::request).settings(settings));
  }

  static Generation<String, String, GenerationResult<String, String>> generation(
      final Generation.Draft<String, String> draft) {
    return draft
        .<GenerationResult<String, String>>results(result -> routed(result, Optional.empty()))
        .as("generate");
  }

  private static List<Routed<String, GenerationResult<String, String>>> routed(
      final GenerationResult<String, String> result, final Optional<String> child) {
    return List.of(
        new Routed<>(new Record<>(result.id(), result, 0, result.origin().headers()), child));
  }

  static Topology topology(
      final ProcessorSupplier<String, String, String, GenerationResult<String, String>>
          generation) {
    return new Topology()
        .addSource("source", new StringDeserializer(), new StringDeserializer(), "prompts")
        .addProcessor("generate", generation, "source")
        .addSink(
            "sink",
            "results",
            new StringSerializer(),
            GenerationNode.resultSerde().serializer(),
            "generate");
  }

  private static GenerationNode node() {
    return node(GenerationSettings.DEFAULT);
  }

  private static GenerationNode node(final GenerationSettings settings) {
    return node(draft(GenerationProcessorTest::request).settings(settings));
  }

  private static GenerationNode node(final Generation.Draft<String, String> draft) {
    return new GenerationNode(topology(generation(draft)), directory);
  }

  private static void storeAttempt(final GenerationNode node, final StoredAttempt attempt) {
    node.progress().put(Position.attemptKey(node.position()), GenerationStores.encode(attempt));
  }

  private static void storeHalfDone(final GenerationNode node, final String fingerprint) {
    storeAttempt(node, new StoredAttempt(1, 0, fingerprint));
    node.progress()
        .put(
            Position.chunkKey(node.position(), 0, 0),
            GenerationStores.encode(new StoredChunk(List.of(5), "x", List.of(), null)));
  }

  /** A listener may throw exceptions, but an error is the engine's end. */
  private static void breakDown(final GenerationEngine engine) {
    engine.submit(
        request("breaker", "5 " + PROMPT),
        new TokenListener() {
          @Override
          public void onTokens(final TokenDelta delta) {
            throw new AssertionError("broken by a test");
          }

          @Override
          public void onEngineFailure(final EngineFailedException failure) {}
        });
  }

  // ---- expected

  private static List<TokenDelta> oracle(final GenerationRequest request) {
    final List<TokenDelta> deltas = new ArrayList<>();
    final CompletableFuture<List<TokenDelta>> all = new CompletableFuture<>();
    engine.submit(
        request,
        new TokenListener() {
          @Override
          public void onTokens(final TokenDelta delta) {
            deltas.add(delta);
            delta.finish().ifPresent(finish -> all.complete(deltas));
          }

          @Override
          public void onEngineFailure(final EngineFailedException failure) {
            all.completeExceptionally(failure);
          }
        });
    return all.join();
  }

  private static List<Integer> tokens(final List<TokenDelta> deltas) {
    return deltas.stream().flatMap(delta -> Arrays.stream(delta.tokens()).boxed()).toList();
  }

  private static String text(final List<TokenDelta> deltas) {
    final StringBuilder text = new StringBuilder();
    deltas.forEach(delta -> text.append(delta.text()));
    return text.toString();
  }

  private static void assertAsOracle(
      final GenerationNode node, final String id, final GenerationRequest request) {
    final List<TokenDelta> expected = oracle(request);
    int next = 0;
    for (final Tokens<String, String> part : node.parts(id)) {
      assertThat(part.index()).as("index in %s", id).isEqualTo(next);
      next += part.tokens().size();
    }
    assertThat(node.tokens(id)).isEqualTo(tokens(expected));
    assertThat(node.text(id)).isEqualTo(text(expected));
    final Finish finish = assertEnd(node, id, expected.getLast().finish().orElseThrow().reason());
    assertThat(finish.error()).isEmpty();
    assertThat(node.completions(id).getFirst().tokens()).isEqualTo(tokens(expected));
    assertThat(node.completions(id).getFirst().text()).isEqualTo(text(expected));
  }

  /** One terminal part, the last, and one completion. */
  private static Finish assertEnd(
      final GenerationNode node, final String id, final FinishReason reason) {
    assertThat(node.parts(id).stream().filter(part -> part.finish().isPresent()))
        .as("terminal parts of %s", id)
        .singleElement()
        .isSameAs(node.parts(id).getLast());
    assertThat(node.completions(id)).as("completions of %s", id).hasSize(1);
    final Finish finish = node.finish(id).orElseThrow();
    assertThat(finish.reason()).isEqualTo(reason);
    assertThat(node.parts(id).getLast().finish()).contains(finish);
    return finish;
  }

  // ---- settings, by name

  private static Settings settings() {
    return new Settings();
  }

  private static final class Settings {
    private int window = 64;
    private int maxUncommittedTokens = 4096;
    private int maxTokensPerRecord = 64;
    private Duration dedupRetention = Duration.ofHours(24);
    private int maxAttempts = 3;
    private ModelChange onModelChange = ModelChange.FAIL;
    private int maxRequestBytes = 4 << 20;

    Settings window(final int value) {
      window = value;
      return this;
    }

    Settings maxUncommittedTokens(final int value) {
      maxUncommittedTokens = value;
      return this;
    }

    Settings maxTokensPerRecord(final int value) {
      maxTokensPerRecord = value;
      return this;
    }

    Settings dedupRetention(final Duration value) {
      dedupRetention = value;
      return this;
    }

    Settings maxAttempts(final int value) {
      maxAttempts = value;
      return this;
    }

    Settings onModelChange(final ModelChange value) {
      onModelChange = value;
      return this;
    }

    Settings maxRequestBytes(final int value) {
      maxRequestBytes = value;
      return this;
    }

    GenerationSettings get() {
      return new GenerationSettings(
          window,
          maxUncommittedTokens,
          maxTokensPerRecord,
          Duration.ofMillis(10),
          dedupRetention,
          maxAttempts,
          onModelChange,
          GenerationSettings.DEFAULT.bulkAging(),
          maxRequestBytes);
    }
  }
}
