package dev.sarathi.tests;

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
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;

/**
 * What a request must yield: one at a time in an engine of its own, with another token budget than
 * the application's, as {@code sarathi generate} does.
 */
final class Oracle implements AutoCloseable {
  private final GenerationEngine engine =
      GenerationEngine.start(
          EngineConfig.of(Stories.MODEL).withMaxSequences(1).withTokenBudget(256));

  /** A whole generation. */
  record Answer(List<Integer> tokens, String text, FinishReason reason) {}

  Answer answer(final PromptRequest request) {
    final List<Integer> tokens = new ArrayList<>();
    final StringBuilder text = new StringBuilder();
    final CompletableFuture<FinishReason> reason = new CompletableFuture<>();
    engine.submit(
        generationRequest(request),
        new TokenListener() {
          @Override
          public void onTokens(final TokenDelta delta) {
            for (final int token : delta.tokens()) {
              tokens.add(token);
            }
            text.append(delta.text());
            delta.finish().ifPresent(finish -> reason.complete(finish.reason()));
          }

          @Override
          public void onEngineFailure(final EngineFailedException failure) {
            reason.completeExceptionally(failure);
          }
        });
    final FinishReason ended = reason.join();
    return new Answer(tokens, text.toString(), ended);
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
            new Sampling(
                (float) request.getSampling().getTemperature(),
                request.getSampling().getTopK(),
                (float) request.getSampling().getTopP(),
                OptionalLong.empty()))
        .withIgnoreEos(request.getIgnoreEos())
        .withStop(request.getStop())
        .withMaxTokens(request.getMaxTokens().orElseThrow());
  }

  @Override
  public void close() {
    engine.close();
  }
}
