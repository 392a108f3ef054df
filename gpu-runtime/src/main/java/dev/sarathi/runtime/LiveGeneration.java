package dev.sarathi.runtime;

import dev.sarathi.runtime.schedule.Logprobs;
import dev.sarathi.runtime.schedule.StepResult;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A generation in the engine: tells its listener what its choices gain, and how they end.
 *
 * <p>Threading: confined to the engine thread, but for {@link #cancel} and {@link #abandon}, which
 * hand over to it.
 */
final class LiveGeneration implements GenerationHandle {
  private static final Logger LOG = LoggerFactory.getLogger(LiveGeneration.class);
  private static final int[] NO_TOKENS = {};

  private final GenerationRequest request;
  private final int promptLength;
  private final List<Choice> choices;
  private final TokenListener listener;
  private final Surroundings engine;
  private final long submitted;
  private final List<Logprobs> promptLogprobs = new ArrayList<>();
  private List<Choice> followers;
  private int unfinished;
  private long firstScheduled = -1;

  /**
   * What a generation needs of the engine.
   *
   * @param thread runs an action on the engine thread
   * @param ended told once of each choice that is over, on the engine thread
   * @param clock the executor's
   * @param observer hears of tokens and ends
   */
  record Surroundings(
      Consumer<Runnable> thread,
      BiConsumer<LiveGeneration, Choice> ended,
      LongSupplier clock,
      ServingObserver observer) {}

  /**
   * @param choices those that have not ended, at least one
   */
  LiveGeneration(
      final GenerationRequest request,
      final int promptLength,
      final List<Choice> choices,
      final TokenListener listener,
      final Surroundings engine) {
    this.request = request;
    this.promptLength = promptLength;
    this.choices = List.copyOf(choices);
    this.listener = listener;
    this.engine = engine;
    this.submitted = engine.clock.getAsLong();
    this.followers = this.choices.subList(1, choices.size());
    this.unfinished = choices.size();
  }

  GenerationRequest request() {
    return request;
  }

  /** When the engine was handed the request. */
  long submitted() {
    return submitted;
  }

  /** The choice that computes the prompt, whose blocks the others then share. */
  Choice leader() {
    return choices.getFirst();
  }

  /** The choices beside the leader, once: they may begin when the leader's prompt is computed. */
  List<Choice> takeFollowers() {
    final List<Choice> waiting = followers;
    if (waiting.isEmpty()) {
      return waiting; // asked with every token
    }
    followers = List.of();
    return waiting.stream().filter(choice -> !choice.isOver()).toList();
  }

  boolean isOver() {
    return unfinished == 0;
  }

  @Override
  public void cancel() {
    engine.thread.accept(() -> end(FinishReason.CANCELLED));
  }

  @Override
  public void abandon() {
    engine.thread.accept(this::drop);
  }

  /** Asks the listener, before an iteration, whether this generation takes part in it. */
  void holdUnlessAccepted() {
    guarded(
        () -> {
          final boolean hold = !listener.accepts();
          choices.forEach(choice -> choice.sequence().hold(hold));
        });
  }

  void scheduled(final long now) {
    if (firstScheduled < 0) {
      firstScheduled = now;
      engine.observer.onBegin(promptLength, now - submitted);
    }
  }

  /** Takes log-probabilities of the prompt; those given before a preemption come again. */
  void scored(final StepResult.Scored scored) {
    for (int i = 0; i < scored.tokens().size(); i++) {
      if (scored.start() + i == promptLogprobs.size() + 1) {
        promptLogprobs.add(scored.tokens().get(i));
      }
    }
  }

  /** Takes the token that a choice's sequence has just gained. */
  void accept(final Choice choice, final StepResult.Sampled sampled, final long now) {
    if (choice.isOver()) {
      return;
    }
    final int index = choice.sequence().generated() - 1;
    sampled.logits().ifPresent(logits -> guarded(() -> listener.onLogits(index, logits)));
    final long before = choice.lastToken();
    final Choice.Gain gain = choice.accept(sampled.token(), now);
    if (before < 0) {
      engine.observer.onFirstToken(now - submitted);
    } else {
      engine.observer.onNextToken(now - before);
    }
    emit(
        choice,
        index,
        new int[] {sampled.token()},
        sampled.logprobs().map(List::of).orElse(List.of()),
        gain.text(),
        gain.end().map(reason -> finish(choice, reason, Optional.empty(), now)));
  }

  /** Ends every choice that has not ended, without a further token. */
  void end(final FinishReason reason) {
    choices.forEach(choice -> end(choice, reason, Optional.empty()));
  }

  /** Ends one choice without a further token. */
  void end(final Choice choice, final FinishReason reason, final Optional<String> error) {
    if (!choice.isOver()) {
      final Finish finish = finish(choice, reason, error, engine.clock.getAsLong());
      emit(
          choice,
          choice.sequence().generated(),
          NO_TOKENS,
          List.of(),
          choice.rest(),
          Optional.of(finish));
    }
  }

  void fail(final EngineFailedException failure) {
    if (unfinished > 0) {
      drop();
      guarded(() -> listener.onEngineFailure(failure));
    }
  }

  private void drop() {
    choices.stream().filter(choice -> !choice.isOver()).forEach(this::over);
  }

  private void over(final Choice choice) {
    choice.end();
    unfinished--;
    engine.ended.accept(this, choice);
  }

  private void emit(
      final Choice choice,
      final int index,
      final int[] tokens,
      final List<Logprobs> logprobs,
      final String text,
      final Optional<Finish> finish) {
    if (finish.isPresent()) {
      over(choice);
      engine.observer.onFinish(finish.get());
    }
    final List<Logprobs> prompt =
        choice.index() == 0 && index == 0 && tokens.length > 0 ? promptLogprobs : List.of();
    guarded(
        () ->
            listener.onTokens(
                new TokenDelta(
                    choice.index(),
                    index,
                    tokens,
                    logprobs,
                    prompt,
                    text,
                    Instant.now(),
                    finish,
                    unfinished == 0)));
  }

  /** A listener that throws loses its own generation, nobody else's. */
  private void guarded(final Runnable call) {
    try {
      call.run();
    } catch (final RuntimeException e) {
      LOG.error("listener of request {} failed; its generation is dropped", request.id(), e);
      drop();
    }
  }

  private Finish finish(
      final Choice choice,
      final FinishReason reason,
      final Optional<String> error,
      final long now) {
    return new Finish(
        reason,
        error,
        new Finish.Usage(
            promptLength, choice.sequence().generated(), choice.cachedTokens(promptLength)),
        new Finish.Timing(
            span(firstScheduled),
            span(choice.firstToken()),
            span(now),
            Duration.ofNanos(choice.longestGap())));
  }

  private Duration span(final long until) {
    return until < 0 ? Duration.ZERO : Duration.ofNanos(until - submitted);
  }
}
