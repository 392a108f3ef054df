package dev.sarathi.runtime.benchmark;

import dev.sarathi.runtime.EngineFailedException;
import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.runtime.TokenListener;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;

/**
 * Notes when each token came.
 *
 * <p>Threading: the engine thread writes, whoever has waited for the end reads.
 */
final class WatchedGeneration implements TokenListener {
  private final long[] times;
  private final CountDownLatch over = new CountDownLatch(1);
  private int tokens;
  private Optional<RuntimeException> failure = Optional.empty();

  WatchedGeneration(final int maxTokens) {
    times = new long[maxTokens];
  }

  @Override
  public void onTokens(final TokenDelta delta) {
    final long now = System.nanoTime();
    for (int i = 0; i < delta.tokens().length; i++) {
      times[tokens++] = now;
    }
    if (delta.last()) {
      over.countDown();
    }
  }

  @Override
  public void onEngineFailure(final EngineFailedException broken) {
    failure = Optional.of(broken);
    over.countDown();
  }

  /**
   * Waits for the end.
   *
   * @return when each token came, in nanoseconds
   */
  long[] times() throws InterruptedException {
    over.await();
    failure.ifPresent(
        broken -> {
          throw broken;
        });
    if (tokens < times.length) {
      throw new IllegalStateException(
          "a generation ended after %d of %d tokens".formatted(tokens, times.length));
    }
    return Arrays.copyOf(times, tokens);
  }
}
