package dev.sarathi.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.runtime.CollectingListener.Collected;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(value = 30, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class TestEngineTest {

  @Test
  void shouldHaveAnsweredWhenARequestIsHandedOver() throws Exception {
    try (TestEngine test = TestEngine.answering(prompt -> prompt + " café ☕")) {
      for (int i = 0; i < 200; i++) {
        // when
        final CollectingListener listener =
            submit(test, GenerationRequest.of("r" + i, "Grüße " + i));

        // then: without a wait, 13 or more bytes and the end
        assertThat(listener.tokensSoFar()).isGreaterThan(18);
        assertThat(listener.collected().text()).isEqualTo("Grüße " + i + " café ☕");
        assertThat(listener.collected().finish().reason()).isEqualTo(FinishReason.STOP);
      }
    }
  }

  @Test
  void shouldTreatAnAnswerAsAModelsOwn() throws Exception {
    try (TestEngine test = TestEngine.answering(prompt -> "one two three")) {
      // when
      final Collected cut =
          submit(test, GenerationRequest.of("cut", "p").withMaxTokens(3)).collected();
      final Collected stopped =
          submit(test, GenerationRequest.of("stopped", "p").withStop(List.of(" three")))
              .collected();

      // then
      assertThat(cut.text()).isEqualTo("one");
      assertThat(cut.finish().reason()).isEqualTo(FinishReason.LENGTH);
      assertThat(cut.finish().timing().total()).isZero();
      assertThat(stopped.text()).isEqualTo("one two");
    }
  }

  @Test
  void shouldShowTheScriptPromptsOfEveryKind() throws Exception {
    final List<String> prompts = new ArrayList<>();
    try (TestEngine test =
        TestEngine.answering(
            prompt -> {
              prompts.add(prompt);
              return "!";
            })) {
      // when
      final List<ChatMessage> talk =
          List.of(new ChatMessage("user", "Hi"), new ChatMessage("assistant", "Hello"));
      submit(test, GenerationRequest.of("a", new Prompt.Chat(talk)));
      submit(test, GenerationRequest.of("b", new Prompt.Tokens(new int[] {72, 105})));
      submit(test, GenerationRequest.of("c", "x".repeat(3_000)).withChoices(2));

      // then
      assertThat(prompts)
          .containsExactly(
              "user: Hi\nassistant: Hello\nassistant:", "Hi", "x".repeat(3_000), "x".repeat(3_000));
    }
  }

  @Test
  void shouldFailARequestWhoseScriptThrows() throws Exception {
    try (TestEngine test =
        TestEngine.answering(
            prompt -> {
              throw new IllegalStateException("no answer to " + prompt);
            })) {
      final Finish finish = submit(test, GenerationRequest.of("r", "that")).collected().finish();

      assertThat(finish.reason()).isEqualTo(FinishReason.ERROR);
      assertThat(finish.error()).contains("no answer to that");
      assertThat(test.engine().isHealthy()).isTrue();
    }
  }

  @Test
  void shouldHoldTheScriptToTheRequestsConstraint() throws Exception {
    try (TestEngine test = TestEngine.answering(prompt -> prompt)) {
      final Constraint labels = Constraint.oneOf(List.of("billing", "outage"));

      final Collected allowed =
          submit(test, GenerationRequest.of("a", "outage").withConstraint(labels)).collected();
      final Collected other =
          submit(test, GenerationRequest.of("b", "outrage").withConstraint(labels)).collected();

      assertThat(allowed.text()).isEqualTo("outage");
      assertThat(allowed.finish().reason()).isEqualTo(FinishReason.STOP);
      assertThat(other.finish().reason()).isEqualTo(FinishReason.ERROR);
      assertThat(other.finish().error().orElseThrow()).contains("outrage", "constraint");
    }
  }

  @Test
  void shouldGenerateStepByStep() throws Exception {
    try (TestEngine test = TestEngine.answering(prompt -> "abcdefgh")) {
      // given
      test.hold();
      final CollectingListener first = submit(test, GenerationRequest.of("first", "p"));
      assertThat(first.tokensSoFar()).isZero();

      // when
      test.generate(3);
      final CollectingListener second = submit(test, GenerationRequest.of("second", "p"));
      test.generate(2);

      // then
      assertThat(first.tokensSoFar()).isEqualTo(5);
      assertThat(second.tokensSoFar()).isEqualTo(2);

      // when
      test.release();

      // then
      assertThat(first.collected().text()).isEqualTo("abcdefgh");
      assertThat(second.collected().text()).isEqualTo("abcdefgh");
    }
  }

  @Test
  void shouldGoOnFromWhatAnotherRunHasEmitted() throws Exception {
    try (TestEngine test = TestEngine.answering(prompt -> prompt + "-rest")) {
      final CollectingListener listener = new CollectingListener();
      test.engine()
          .resume(
              GenerationRequest.of("r", "half"),
              List.of(new EmittedChoice(new int[] {'h', 'a', 'l', 'f'}, false)),
              listener);

      assertThat(listener.collected().text()).isEqualTo("-rest");
    }
  }

  @Test
  void shouldCrashInMidGeneration() {
    try (TestEngine test = TestEngine.answering(prompt -> "abcdefgh")) {
      // given
      test.hold();
      final CollectingListener listener = submit(test, GenerationRequest.of("r", "p"));
      test.generate(3);

      // when
      test.crash("the device is gone");

      // then
      assertThatThrownBy(listener::deltas)
          .hasCauseInstanceOf(EngineFailedException.class)
          .hasMessageContaining("the device is gone");
      assertThat(listener.tokensSoFar()).isEqualTo(3);
      assertThat(test.engine().isHealthy()).isFalse();
      assertThatThrownBy(() -> submit(test, GenerationRequest.of("late", "p")))
          .isInstanceOf(EngineFailedException.class);
    }
  }

  @Test
  void shouldServeSeveralThreads() throws Exception {
    try (TestEngine test = TestEngine.answering(prompt -> prompt);
        ExecutorService threads = Executors.newFixedThreadPool(4)) {
      final List<Future<String>> texts = new ArrayList<>();
      for (int i = 0; i < 100; i++) {
        final String prompt = "prompt " + i;
        texts.add(
            threads.submit(
                () -> submit(test, GenerationRequest.of(prompt, prompt)).collected().text()));
      }
      for (int i = 0; i < 100; i++) {
        assertThat(texts.get(i).get()).isEqualTo("prompt " + i);
      }
    }
  }

  private static CollectingListener submit(final TestEngine test, final GenerationRequest request) {
    final CollectingListener listener = new CollectingListener();
    test.engine().submit(request, listener);
    return listener;
  }
}
