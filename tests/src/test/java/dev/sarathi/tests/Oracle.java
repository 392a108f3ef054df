package dev.sarathi.tests;

import dev.sarathi.runtime.EmittedChoice;
import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.EngineFailedException;
import dev.sarathi.runtime.FinishReason;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.Prompt;
import dev.sarathi.runtime.Sampling;
import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.runtime.TokenListener;
import dev.sarathi.schemas.PromptRequest;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;

/**
 * What a request must yield: one at a time in an engine of its own, with another token budget than
 * the application's, as {@code sarathi generate} does.
 */
public final class Oracle implements AutoCloseable {
  private final GenerationEngine engine;

  Oracle() {
    this(EngineConfig.of(Stories.MODEL).withMaxSequences(1).withTokenBudget(256));
  }

  /** An oracle that answers several requests at once. */
  public Oracle(final EngineConfig config) {
    this.engine = GenerationEngine.start(config);
  }

  /** A whole choice. */
  public record Answer(List<Integer> tokens, String text, FinishReason reason) {}

  /** Every choice of a request. */
  List<Answer> answers(final PromptRequest request) {
    return ask(request).join();
  }

  /** What this engine's tokens depend on besides the request. */
  String fingerprint() {
    return engine.fingerprint();
  }

  /** A request of one choice, of which another engine has emitted the first tokens. */
  Answer continued(final PromptRequest request, final List<Integer> emitted) {
    final int[] before = emitted.stream().mapToInt(Integer::intValue).toArray();
    final Answer rest = ask(request, List.of(new EmittedChoice(before, false))).join().getFirst();
    final List<Integer> tokens = new ArrayList<>(emitted);
    tokens.addAll(rest.tokens());
    return new Answer(tokens, rest.text(), rest.reason());
  }

  /** Every choice of a request, once they have ended. */
  public CompletableFuture<List<Answer>> ask(final PromptRequest request) {
    return ask(request, List.of());
  }

  private CompletableFuture<List<Answer>> ask(
      final PromptRequest request, final List<EmittedChoice> emitted) {
    final List<Choice> choices = Stream.generate(Choice::new).limit(request.getN()).toList();
    final CompletableFuture<Void> ended = new CompletableFuture<>();
    engine.resume(
        generationRequest(request),
        emitted,
        new TokenListener() {
          @Override
          public void onTokens(final TokenDelta delta) {
            choices.get(delta.choice()).add(delta);
            if (delta.last()) {
              ended.complete(null);
            }
          }

          @Override
          public void onEngineFailure(final EngineFailedException failure) {
            ended.completeExceptionally(failure);
          }
        });
    return ended.thenApply(end -> choices.stream().map(Choice::answer).toList());
  }

  /** Written by the engine thread. */
  private static final class Choice {
    private final List<Integer> tokens = new ArrayList<>();
    private final StringBuilder text = new StringBuilder();
    private FinishReason reason;

    private void add(final TokenDelta delta) {
      for (final int token : delta.tokens()) {
        tokens.add(token);
      }
      text.append(delta.text());
      delta.finish().ifPresent(finish -> reason = finish.reason());
    }

    private Answer answer() {
      return new Answer(tokens, text.toString(), reason);
    }
  }

  private static GenerationRequest generationRequest(final PromptRequest request) {
    final Prompt prompt =
        request
            .getTokenIds()
            .<Prompt>map(
                ids -> new Prompt.Tokens(ids.stream().mapToInt(Integer::intValue).toArray()))
            .orElseGet(() -> new Prompt.Text(request.getPrompt().orElseThrow()));
    return GenerationRequest.of(request.getId().orElseThrow(), prompt)
        .withSampling(
            Sampling.at((float) request.getSampling().getTemperature())
                .withTopK(request.getSampling().getTopK())
                .withTopP((float) request.getSampling().getTopP()))
        .withIgnoreEos(request.getIgnoreEos())
        .withStop(request.getStop())
        .withChoices(request.getN())
        .withMaxTokens(request.getMaxTokens().orElseThrow());
  }

  @Override
  public void close() {
    engine.close();
  }
}
