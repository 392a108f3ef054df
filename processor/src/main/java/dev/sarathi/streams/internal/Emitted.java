package dev.sarathi.streams.internal;

import dev.sarathi.runtime.EmittedChoice;
import dev.sarathi.runtime.Finish;
import dev.sarathi.runtime.FinishReason;
import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.runtime.schedule.Logprobs;
import dev.sarathi.streams.GenerationResult;
import dev.sarathi.streams.internal.stored.StoredChunk;
import dev.sarathi.streams.internal.stored.StoredFinish;
import dev.sarathi.streams.internal.stored.StoredLogprobs;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A run of a choice's tokens, with all that was emitted with them.
 *
 * <p>Threading: confined to the stream thread.
 */
final class Emitted {
  private final List<Integer> tokens = new ArrayList<>();
  private final List<Logprobs> logprobs = new ArrayList<>();
  private final StringBuilder text = new StringBuilder();
  private Optional<Finish> finish = Optional.empty();

  void add(final TokenDelta delta) {
    for (final int token : delta.tokens()) {
      tokens.add(token);
    }
    logprobs.addAll(delta.logprobs());
    text.append(delta.text());
    delta.finish().ifPresent(this::end);
  }

  /** Adds tokens of the prompt. */
  void add(final List<Logprobs> scored) {
    scored.forEach(token -> tokens.add(token.token()));
    logprobs.addAll(scored);
  }

  void add(final StoredChunk chunk) {
    for (int i = 0; i < chunk.getLogprobs().size(); i++) {
      logprobs.add(logprobs(chunk.getTokens().get(i), chunk.getLogprobs().get(i)));
    }
    tokens.addAll(chunk.getTokens());
    text.append(chunk.getText());
    chunk.getFinish().map(Emitted::finish).ifPresent(this::end);
  }

  void end(final Finish how) {
    finish = Optional.of(how);
  }

  boolean isEmpty() {
    return tokens.isEmpty() && text.isEmpty() && finish.isEmpty();
  }

  boolean hasEnded() {
    return finish.isPresent();
  }

  int size() {
    return tokens.size();
  }

  List<Integer> tokens() {
    return List.copyOf(tokens);
  }

  List<Logprobs> logprobs() {
    return List.copyOf(logprobs);
  }

  String text() {
    return text.toString();
  }

  /** As the engine wants to hear of it. */
  EmittedChoice before() {
    return new EmittedChoice(tokens.stream().mapToInt(Integer::intValue).toArray(), hasEnded());
  }

  /** As a result, once it has ended. */
  GenerationResult.Choice choice() {
    return new GenerationResult.Choice(tokens(), logprobs(), text(), finish.orElseThrow());
  }

  StoredChunk stored() {
    return new StoredChunk(
        tokens(),
        text(),
        logprobs.stream().map(Emitted::stored).toList(),
        finish.map(Emitted::stored).orElse(null));
  }

  private static StoredLogprobs stored(final Logprobs logprobs) {
    final List<Float> top = new ArrayList<>();
    for (final float logprob : logprobs.topLogprobs()) {
      top.add(logprob);
    }
    return new StoredLogprobs(
        logprobs.logprob(), Arrays.stream(logprobs.topTokens()).boxed().toList(), top);
  }

  private static Logprobs logprobs(final int token, final StoredLogprobs stored) {
    final float[] top = new float[stored.getTopLogprobs().size()];
    for (int i = 0; i < top.length; i++) {
      top[i] = stored.getTopLogprobs().get(i);
    }
    return new Logprobs(
        token,
        stored.getLogprob(),
        stored.getTopTokens().stream().mapToInt(Integer::intValue).toArray(),
        top);
  }

  private static StoredFinish stored(final Finish finish) {
    return StoredFinish.newBuilder()
        .setReason(finish.reason().name())
        .setError(finish.error().orElse(null))
        .setPromptTokens(finish.usage().promptTokens())
        .setCompletionTokens(finish.usage().completionTokens())
        .setCachedTokens(finish.usage().cachedTokens())
        .setQueued(finish.timing().queued().toNanos())
        .setTimeToFirstToken(finish.timing().timeToFirstToken().toNanos())
        .setTotal(finish.timing().total().toNanos())
        .setLongestGap(finish.timing().longestGap().toNanos())
        .build();
  }

  private static Finish finish(final StoredFinish stored) {
    return new Finish(
        FinishReason.valueOf(stored.getReason()),
        stored.getError(),
        new Finish.Usage(
            stored.getPromptTokens(), stored.getCompletionTokens(), stored.getCachedTokens()),
        new Finish.Timing(
            Duration.ofNanos(stored.getQueued()),
            Duration.ofNanos(stored.getTimeToFirstToken()),
            Duration.ofNanos(stored.getTotal()),
            Duration.ofNanos(stored.getLongestGap())));
  }
}
