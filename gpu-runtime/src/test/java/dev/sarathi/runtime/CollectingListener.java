package dev.sarathi.runtime;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** Gathers one generation; the test waits for its end. */
final class CollectingListener implements TokenListener {
  private final List<TokenDelta> deltas = new ArrayList<>();
  private final CompletableFuture<List<TokenDelta>> done = new CompletableFuture<>();
  private final CompletableFuture<float[]> logits = new CompletableFuture<>();

  /** A whole generation. */
  record Collected(int[] tokens, String text, Finish finish) {}

  @Override
  public synchronized void onTokens(final TokenDelta delta) {
    deltas.add(delta);
    if (delta.last()) {
      done.complete(List.copyOf(deltas));
    }
  }

  @Override
  public void onEngineFailure(final EngineFailedException failure) {
    done.completeExceptionally(failure);
  }

  @Override
  public void onLogits(final int index, final float[] values) {
    if (index == 0) {
      logits.complete(values);
    }
  }

  synchronized int tokensSoFar() {
    return deltas.stream().mapToInt(delta -> delta.tokens().length).sum();
  }

  List<TokenDelta> deltas() throws Exception {
    return done.get(60, TimeUnit.SECONDS);
  }

  float[] logits() throws Exception {
    return logits.get(60, TimeUnit.SECONDS);
  }

  Collected collected() throws Exception {
    final List<TokenDelta> all = deltas();
    final StringBuilder text = new StringBuilder();
    all.forEach(delta -> text.append(delta.text()));
    return new Collected(
        all.stream().flatMapToInt(delta -> java.util.Arrays.stream(delta.tokens())).toArray(),
        text.toString(),
        all.getLast().finish().orElseThrow());
  }
}
