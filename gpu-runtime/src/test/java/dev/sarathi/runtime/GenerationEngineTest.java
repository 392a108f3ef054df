package dev.sarathi.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.runtime.CollectingListener.Collected;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GenerationEngineTest {
  private static final Path STORYTELLER = Path.of("../models/storyteller");
  private static final Path GOLDEN = Path.of("src/test/resources/golden");
  private static final ObjectMapper JSON = new ObjectMapper();

  private GenerationEngine engine;

  @AfterEach
  void close() {
    if (engine != null) {
      engine.close();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama2", "llama3"})
  void shouldReproduceTheReferenceToTheSameBitWhateverBudgetAndThreads(final String model)
      throws Exception {
    final JsonNode golden = JSON.readTree(GOLDEN.resolve(model + "/golden.json").toFile());
    final List<float[]> first = new ArrayList<>();
    for (final int threads : new int[] {1, 2}) {
      for (final int budget : new int[] {16, 64, 512}) {
        // given
        final EngineConfig config = EngineConfig.of(GOLDEN.resolve(model));
        engine = GenerationEngine.start(config.withTokenBudget(budget).withThreads(threads));
        for (int i = 0; i < golden.size(); i++) {
          final CollectingListener listener = new CollectingListener();

          // when
          engine.submitWithLogits(
              GenerationRequest.of("golden", new Prompt.Tokens(ints(golden.get(i).get("prompt"))))
                  .withMaxTokens(golden.get(i).get("greedy").size()),
              listener);

          // then
          assertThat(listener.collected().tokens()).isEqualTo(ints(golden.get(i).get("greedy")));
          assertThat(distance(listener.logits(), golden.get(i).get("logits"))).isLessThan(2e-4);
          if (first.size() == i) {
            first.add(listener.logits());
          }
          assertThat(listener.logits()).isEqualTo(first.get(i));
        }
        engine.close();
      }
    }
  }

  @Test
  void shouldTellTheStorytellersStoriesSideBySide() throws Exception {
    // given
    engine = GenerationEngine.start(EngineConfig.of(STORYTELLER));
    final JsonNode golden = JSON.readTree(STORYTELLER.resolve("golden.json").toFile());
    final List<CollectingListener> listeners = new ArrayList<>();

    // when
    for (final JsonNode story : golden) {
      final CollectingListener listener = new CollectingListener();
      listeners.add(listener);
      engine.submit(
          GenerationRequest.of("story-" + listeners.size(), story.get("prompt").asText())
              .withMaxTokens(story.get("greedy").size()),
          listener);
    }

    // then
    for (int i = 0; i < golden.size(); i++) {
      final Collected collected = listeners.get(i).collected();
      assertThat(collected.tokens()).isEqualTo(ints(golden.get(i).get("greedy")));
      assertThat(collected.text()).isEqualTo(golden.get(i).get("text").asText());
      assertThat(collected.finish().reason()).isEqualTo(FinishReason.LENGTH);
      assertThat(collected.finish().usage())
          .isEqualTo(new Finish.Usage(golden.get(i).get("prompt_ids").size(), 64, 0));
    }
  }

  @Test
  void shouldYieldTheSameSampledTokensAfterAResumeAtAnyPoint() throws Exception {
    // given
    engine = GenerationEngine.start(EngineConfig.of(STORYTELLER));
    final GenerationRequest request =
        GenerationRequest.of("sampled", "Once upon a time")
            .withSampling(Sampling.at(0.9f).withTopK(50).withTopP(0.95f).withSeed(7))
            .withMaxTokens(40);
    final Collected whole = run(request);

    for (final int emitted : new int[] {1, 16, 17, 39}) {
      // when
      final CollectingListener rest = new CollectingListener();
      engine.resume(
          request,
          List.of(new EmittedChoice(java.util.Arrays.copyOf(whole.tokens(), emitted), false)),
          rest);

      // then
      assertThat(rest.deltas().getFirst().index()).isEqualTo(emitted);
      assertThat(rest.collected().tokens())
          .isEqualTo(java.util.Arrays.copyOfRange(whole.tokens(), emitted, whole.tokens().length));
      assertThat(whole.text()).endsWith(rest.collected().text());
      // Its prompt is in the prefix cache: the same block holds it still.
      assertThat(rest.collected().finish().usage())
          .usingRecursiveComparison()
          .ignoringFields("cachedTokens")
          .isEqualTo(whole.finish().usage());
    }
  }

  @Test
  void shouldDeriveTheSeedFromTheRequestId() throws Exception {
    // given
    engine = GenerationEngine.start(EngineConfig.of(STORYTELLER));
    final Sampling hot = Sampling.at(1.5f);

    // when
    final Collected first =
        run(GenerationRequest.of("a", "Once").withSampling(hot).withMaxTokens(20));
    final Collected again =
        run(GenerationRequest.of("a", "Once").withSampling(hot).withMaxTokens(20));
    final Collected other =
        run(GenerationRequest.of("b", "Once").withSampling(hot).withMaxTokens(20));

    // then
    assertThat(again.tokens()).isEqualTo(first.tokens());
    assertThat(other.tokens()).isNotEqualTo(first.tokens());
  }

  @Test
  void shouldYieldTheSameTokensWhenMemoryForcesPreemption() throws Exception {
    // given: blocks for one full context of 256, shared by eight sequences that want 200 each
    final EngineConfig tight =
        EngineConfig.of(STORYTELLER).withMaxContext(256).withTokenBudget(32).withThreads(1);
    engine = GenerationEngine.start(tight);
    final List<Collected> undisturbed = eightStories();
    engine.close();
    engine = GenerationEngine.start(tight.withKvMemory(17L * 16 * 5 * 2 * 2 * 32 * 4));

    // when
    final List<Collected> preempted = eightStories();

    // then
    for (int i = 0; i < undisturbed.size(); i++) {
      assertThat(preempted.get(i).tokens()).isEqualTo(undisturbed.get(i).tokens());
      assertThat(preempted.get(i).finish().usage().completionTokens())
          .isEqualTo(undisturbed.get(i).finish().usage().completionTokens());
    }
    assertThat(engine.preemptions()).isPositive();
  }

  private List<Collected> eightStories() throws Exception {
    final List<CollectingListener> listeners = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      final CollectingListener listener = new CollectingListener();
      listeners.add(listener);
      engine.submit(
          GenerationRequest.of("s" + i, "Once upon a time there was story number " + i)
              .withIgnoreEos(true)
              .withMaxTokens(150),
          listener);
    }
    final List<Collected> collected = new ArrayList<>();
    for (final CollectingListener listener : listeners) {
      collected.add(listener.collected());
    }
    return collected;
  }

  @Test
  void shouldEndAtAStopStringWithoutEmittingAnyOfIt() throws Exception {
    // given
    engine = GenerationEngine.start(EngineConfig.of(STORYTELLER));
    final GenerationRequest request =
        GenerationRequest.of("stop", "Once upon a time").withMaxTokens(64);
    final String whole = run(request).text();
    final String stop = whole.substring(30, 40);

    // when
    final Collected stopped = run(request.withStop(List.of(stop)));

    // then
    assertThat(stopped.text()).isEqualTo(whole.substring(0, whole.indexOf(stop)));
    assertThat(stopped.finish().reason()).isEqualTo(FinishReason.STOP);
  }

  @Test
  void shouldEndWhenTheContextIsFull() throws Exception {
    // given
    engine = GenerationEngine.start(EngineConfig.of(STORYTELLER).withMaxContext(32));

    // when
    final Collected collected =
        run(GenerationRequest.of("full", "Once upon a time").withIgnoreEos(true).withMaxTokens(99));

    // then
    assertThat(collected.finish().reason()).isEqualTo(FinishReason.LENGTH);
    assertThat(collected.finish().usage()).isEqualTo(new Finish.Usage(10, 22, 0));
  }

  @Test
  void shouldCancelAtOnceAndKeepServing() throws Exception {
    // given
    engine = GenerationEngine.start(EngineConfig.of(STORYTELLER));
    final CollectingListener listener = new CollectingListener();
    final GenerationHandle handle =
        engine.submit(
            GenerationRequest.of("long", "Once upon a time").withIgnoreEos(true), listener);
    await().until(() -> listener.tokensSoFar() > 3);

    // when
    handle.cancel();

    // then
    assertThat(listener.collected().finish().reason()).isEqualTo(FinishReason.CANCELLED);
    assertThat(run(GenerationRequest.of("next", "Once").withMaxTokens(3)).tokens()).hasSize(3);
  }

  @Test
  void shouldGiveUpAtTheDeadline() throws Exception {
    // given
    engine = GenerationEngine.start(EngineConfig.of(STORYTELLER));

    // when
    final Collected collected =
        run(
            GenerationRequest.of("late", "Once upon a time")
                .withIgnoreEos(true)
                .withDeadline(Instant.now().plusMillis(50)));

    // then
    assertThat(collected.finish().reason()).isEqualTo(FinishReason.DEADLINE);
    assertThat(collected.finish().usage().completionTokens()).isEqualTo(collected.tokens().length);
  }

  @Test
  void shouldPauseAGenerationWhoseListenerHasEnoughAndServeTheOthers() throws Exception {
    // given
    engine = GenerationEngine.start(EngineConfig.of(STORYTELLER));
    final AtomicBoolean full = new AtomicBoolean(true);
    final CollectingListener paused = new CollectingListener();
    engine.submit(
        GenerationRequest.of("paused", "Once upon a time").withMaxTokens(20),
        new TokenListener() {
          @Override
          public void onTokens(final TokenDelta delta) {
            paused.onTokens(delta);
          }

          @Override
          public void onEngineFailure(final EngineFailedException failure) {
            paused.onEngineFailure(failure);
          }

          @Override
          public boolean accepts() {
            return !full.get();
          }
        });

    // when
    run(GenerationRequest.of("other", "Once upon a time").withMaxTokens(20));

    // then
    assertThat(paused.tokensSoFar()).isZero();
    full.set(false);
    assertThat(paused.collected().tokens()).hasSize(20);
  }

  @ParameterizedTest
  @ValueSource(floats = {-1, Float.NaN, Float.POSITIVE_INFINITY})
  void shouldNameAnInvalidTemperature(final float temperature) {
    engine = GenerationEngine.start(EngineConfig.of(STORYTELLER));
    final GenerationRequest request =
        GenerationRequest.of("bad", "Once").withSampling(Sampling.at(temperature));

    assertThatThrownBy(() -> engine.submit(request, new CollectingListener()))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessage("temperature: " + temperature + " is not a finite number of 0 or more");
  }

  @Test
  void shouldRefuseWhatTheContextCannotHold() {
    engine = GenerationEngine.start(EngineConfig.of(STORYTELLER).withMaxContext(64));

    assertThatThrownBy(
            () -> engine.validate(GenerationRequest.of("long", new Prompt.Tokens(new int[64]))))
        .hasMessage(
            "prompt: has 64 tokens, but the context holds 64, of which at least 1 is for the answer");
    assertThatThrownBy(() -> engine.validate(GenerationRequest.of("empty", "")))
        .hasMessage("prompt: is empty");
    assertThatThrownBy(
            () -> engine.validate(GenerationRequest.of("id", new Prompt.Tokens(new int[] {898}))))
        .hasMessage("token_ids: 898 is not a token of the model; valid is 0 to 897");
  }

  @Test
  void shouldRefuseAKvMemoryThatCannotHoldOneSequence() {
    assertThatThrownBy(
            () -> GenerationEngine.start(EngineConfig.of(STORYTELLER).withKvMemory(1 << 20)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("KV memory is 1048576 bytes")
        .hasMessageContaining("but one sequence may have 4096");
  }

  private Collected run(final GenerationRequest request) throws Exception {
    final CollectingListener listener = new CollectingListener();
    engine.submit(request, listener);
    return listener.collected();
  }

  private static int[] ints(final JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false).mapToInt(JsonNode::asInt).toArray();
  }

  private static double distance(final float[] actual, final JsonNode expected) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < actual.length; i++) {
      final double reference = expected.get(i).asDouble();
      difference += Math.pow(actual[i] - reference, 2);
      norm += reference * reference;
    }
    return Math.sqrt(difference / norm);
  }
}
