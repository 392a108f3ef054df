package dev.sarathi.streams.internal;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.EngineFailedException;
import dev.sarathi.runtime.FinishReason;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.Prompt;
import dev.sarathi.runtime.QueueFullException;
import dev.sarathi.runtime.Sampling;
import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.runtime.TokenListener;
import dev.sarathi.runtime.schedule.Logprobs;
import dev.sarathi.streams.GenerationResult;
import dev.sarathi.streams.GenerationResult.Choice;
import dev.sarathi.streams.GenerationResult.Completion;
import dev.sarathi.streams.GenerationResult.Tokens;
import dev.sarathi.streams.GenerationSettings;
import dev.sarathi.streams.Routed;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.test.TestRecord;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Requests of several choices, with the real engine and the bundled model. */
class GenerationChoicesTest {
  private static final Path MODEL = Path.of("../models/storyteller");
  private static final int CHOICES = 3;

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

  @Test
  void shouldEmitEveryChoiceInOrderAndEndOnce() {
    try (GenerationNode node = node(4096)) {
      // when
      node.send("a", "1200");
      node.untilEnded("a");

      // then
      assertAsUndisturbed(node, "1200");
    }
  }

  @Test
  void shouldCountThePromptTokensThatChoicesShared() {
    try (GenerationNode node = node(4096)) {
      // when
      node.send("a", "1200");
      node.untilEnded("a");

      // then
      final int cached =
          node.completions("a").getFirst().choices().stream()
              .mapToInt(choice -> choice.finish().usage().cachedTokens())
              .sum();
      assertThat(cached).isPositive();
      assertThat(node.total("cached-tokens")).isEqualTo(cached);
    }
  }

  @Test
  void shouldGoOnWithUnfinishedChoicesOnlyAndLoseNoLogProbability() {
    try (GenerationNode later = node(8)) {
      final List<TestRecord<String, GenerationResult<String, String>>> committed;
      try (GenerationNode earlier = node(8)) {
        // given: a choice has ended, others are under way
        earlier.send("a", "1200");
        earlier.until(() -> finished(earlier) > 0);
        assertThat(finished(earlier)).isLessThan(CHOICES);
        later.restoreFrom(earlier);
        committed = earlier.records;
      }

      // when
      later.untilEnded("a");

      // then
      IntStream.range(0, CHOICES)
          .filter(choice -> committed.stream().anyMatch(record -> ends(record.value(), choice)))
          .forEach(choice -> assertThat(later.parts("a", choice)).isEmpty());
      assertThat(later.parts("a")).allMatch(part -> part.provenance().attempt() == 2);
      later.records.addAll(0, committed);
      assertAsUndisturbed(later, "1200");
      assertThat(later.keys(later.progress())).isEmpty();
    }
  }

  @Test
  void shouldResumeWhereverItIsTakenAway() {
    // given: an incarnation of a few turns after the other
    GenerationNode node = node(8);
    final List<TestRecord<String, GenerationResult<String, String>>> committed = new ArrayList<>();
    try {
      node.send("a", "40");
      for (int incarnation = 0; node.completions("a").isEmpty(); incarnation++) {
        assertThat(incarnation).isLessThan(200);
        final GenerationNode next = node(8);
        next.restoreFrom(node);
        node.close();
        committed.addAll(node.records);
        node = next;
        final int before = node.parts("a").size();
        final GenerationNode running = node;
        running.until(() -> running.parts("a").size() > before);
        running.turn();
      }

      // then
      node.records.addAll(0, committed);
      assertAsUndisturbed(node, "40");
    } finally {
      node.close();
    }
  }

  @Test
  void shouldEndUnfinishedChoicesOfARequestThatIsCancelled() {
    try (GenerationNode node = node(8)) {
      // given: a choice has ended, others are under way
      node.send("a", "1200");
      node.until(() -> finished(node) > 0);
      final int finished = finished(node);

      // when
      node.cancel("a");
      node.untilEnded("a");

      // then
      final Completion<String, String> completion = node.completions("a").getFirst();
      assertThat(completion.choices()).hasSize(CHOICES);
      assertThat(completion.choices())
          .filteredOn(choice -> choice.finish().reason() == FinishReason.CANCELLED)
          .hasSize(CHOICES - finished);
      assertThat(completion.usage().completionTokens()).isEqualTo(node.tokens("a").size());
      assertEveryPartOnce(node, completion.choices());
    }
  }

  @Test
  void shouldHandOverLaterWhatTheEngineHasNoRoomFor() {
    // given: an engine that is full for three turns
    final AtomicInteger asked = new AtomicInteger();
    final GenerationProcessor.Handover handover =
        (request, emitted, listener) -> {
          if (asked.incrementAndGet() <= 3) {
            throw new QueueFullException(5, 5);
          }
          return engine.resume(request, emitted, listener);
        };
    try (GenerationNode node =
        new GenerationNode(GenerationProcessorTest.topology(supplier(handover)), directory)) {
      // when
      node.send("a", "1200");
      node.send("b", "1200");
      node.untilEnded("a", "b");

      // then: no error, no attempt, and one after the other
      assertAsUndisturbed(node, "1200");
      assertThat(node.parts("b")).allMatch(part -> part.provenance().attempt() == 1);
      assertThat(asked).hasValue(5);
    }
  }

  // ---- given

  /** Choices of different lengths: each goes on to the end of its sentence. */
  private static GenerationRequest request(final String id, final String promptTokens) {
    final int[] prompt =
        IntStream.range(0, Integer.parseInt(promptTokens)).map(i -> 5 + i % 300).toArray();
    return GenerationRequest.of(id, new Prompt.Tokens(prompt))
        .withSampling(Sampling.at(1).withSeed(5))
        .withChoices(CHOICES)
        .withLogprobs(2)
        .withPromptLogprobs(1)
        .withStop(List.of("."))
        .withMaxTokens(150);
  }

  private static GenerationSettings settings(final int maxUncommittedTokens) {
    final GenerationSettings defaults = GenerationSettings.DEFAULT;
    return new GenerationSettings(
        defaults.window(),
        maxUncommittedTokens,
        defaults.maxTokensPerRecord(),
        defaults.drainInterval(),
        defaults.dedupRetention(),
        defaults.maxAttempts(),
        defaults.onModelChange(),
        defaults.bulkAging(),
        defaults.maxRequestBytes());
  }

  private static GenerationNode node(final int maxUncommittedTokens) {
    return new GenerationNode(
        GenerationProcessorTest.topology(
            GenerationProcessorTest.generation(
                GenerationProcessorTest.draft(engine, GenerationChoicesTest::request)
                    .settings(settings(maxUncommittedTokens)))),
        directory);
  }

  private static ProcessorSupplier<String, String, String, GenerationResult<String, String>>
      supplier(final GenerationProcessor.Handover handover) {
    final StoreNames names = new StoreNames("generate");
    final NodeState node = new NodeState();
    return new ProcessorSupplier<>() {
      @Override
      public Processor<String, String, String, GenerationResult<String, String>> get() {
        return new GenerationProcessor<>(
            engine,
            handover,
            settings(4096),
            new Requests<>(
                (key, value) -> key,
                GenerationChoicesTest::request,
                Serdes.String(),
                Serdes.String(),
                Optional::ofNullable),
            result ->
                List.of(
                    new Routed<>(
                        new Record<>(result.id(), result, 0, result.origin().headers()),
                        Optional.empty())),
            names,
            node,
            Optional.empty(),
            Optional.empty());
      }

      @Override
      public Set<StoreBuilder<?>> stores() {
        return names.builders(settings(4096));
      }
    };
  }

  private static int finished(final GenerationNode node) {
    return (int) node.parts("a").stream().filter(part -> part.finish().isPresent()).count();
  }

  private static boolean ends(final GenerationResult<String, String> result, final int choice) {
    return result instanceof Tokens<String, String> part
        && part.choice() == choice
        && part.finish().isPresent();
  }

  // ---- expected

  private static void assertAsUndisturbed(final GenerationNode node, final String promptTokens) {
    final int length = Integer.parseInt(promptTokens);
    final Transcript expected = undisturbed(promptTokens);
    final Completion<String, String> completion = node.completions("a").getFirst();
    assertThat(completion.choices())
        .usingRecursiveComparison()
        .ignoringFields("finish.timing", "finish.usage.cachedTokens")
        .isEqualTo(expected.choices().stream().map(Emitted::choice).toList());
    assertThat(completion.promptLogprobs())
        .hasSize(length - 1)
        .usingRecursiveComparison()
        .isEqualTo(
            expected
                .completion(
                    "a", completion.origin(), completion.provenance(), completion.emittedAt())
                .promptLogprobs());
    assertThat(completion.usage().promptTokens()).isEqualTo(length);
    assertThat(completion.usage().completionTokens()).isEqualTo(node.tokens("a").size());
    assertThat(node.parts("a").stream().flatMap(part -> part.promptLogprobs().stream()).toList())
        .hasSize(length - 1);
    assertEveryPartOnce(node, completion.choices());
  }

  /** Each choice without gaps and with one end, and the last part of all the request's end. */
  private static void assertEveryPartOnce(final GenerationNode node, final List<Choice> choices) {
    for (int i = 0; i < choices.size(); i++) {
      final List<Integer> tokens = new ArrayList<>();
      final List<Logprobs> logprobs = new ArrayList<>();
      final StringBuilder text = new StringBuilder();
      for (final Tokens<String, String> part : node.parts("a", i)) {
        assertThat(part.index()).as("index in choice %d", i).isEqualTo(tokens.size());
        tokens.addAll(part.tokens());
        logprobs.addAll(part.logprobs());
        text.append(part.text());
      }
      assertThat(tokens).isEqualTo(choices.get(i).tokens());
      assertThat(text.toString()).isEqualTo(choices.get(i).text());
      assertThat(logprobs).usingRecursiveComparison().isEqualTo(choices.get(i).logprobs());
      assertThat(node.parts("a", i).stream().filter(part -> part.finish().isPresent()))
          .as("ends of choice %d", i)
          .singleElement()
          .isSameAs(node.parts("a", i).getLast());
    }
    assertThat(node.parts("a").stream().filter(Tokens::last))
        .singleElement()
        .isSameAs(node.parts("a").getLast());
    assertThat(node.completions("a")).hasSize(1);
  }

  private static Transcript undisturbed(final String promptTokens) {
    final Transcript transcript = new Transcript(CHOICES);
    final CompletableFuture<Void> ended = new CompletableFuture<>();
    engine.submit(
        request("a", promptTokens),
        new TokenListener() {
          @Override
          public void onTokens(final TokenDelta delta) {
            transcript.add(delta);
            if (delta.last()) {
              ended.complete(null);
            }
          }

          @Override
          public void onEngineFailure(final EngineFailedException failure) {
            ended.completeExceptionally(failure);
          }
        });
    ended.orTimeout(30, TimeUnit.SECONDS).join();
    final List<Integer> lengths = transcript.choices().stream().map(Emitted::size).toList();
    assertThat(lengths).as("lengths of the choices").doesNotHaveDuplicates();
    return transcript;
  }
}
