package dev.sarathi.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * How much garbage an iteration makes on the engine's thread: what says of each token to whom it
 * belongs, and nothing that grows with the model, the vocabulary or the context.
 */
class EngineAllocationTest {
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private static final Path GOLDEN = Path.of("src/test/resources/golden/llama3");
  private static final Path STORYTELLER = Path.of("../models/storyteller");
  private static final int GENERATIONS = 8;
  private static final int TOKENS = 200;

  /** By then the compiler has come to everything that runs. */
  private static final long PATIENCE_NANOS = 30_000_000_000L;

  /** Counts what the engine's thread allocates from one of its tokens to the last. */
  private static final class Meter implements TokenListener {
    private final CountDownLatch done;
    private final AtomicLong first = new AtomicLong();
    private final AtomicLong last = new AtomicLong();

    Meter(final CountDownLatch done) {
      this.done = done;
    }

    @Override
    public void onTokens(final TokenDelta delta) {
      if (delta.index() == TOKENS / 2) {
        first.set(THREADS.getCurrentThreadAllocatedBytes());
      }
      if (delta.last()) {
        last.set(THREADS.getCurrentThreadAllocatedBytes());
        done.countDown();
      }
    }

    @Override
    public void onEngineFailure(final EngineFailedException failure) {}
  }

  @ParameterizedTest
  @CsvSource({"token ids, 2000", "text, 7000"})
  void shouldAllocateLittleForAToken(final String kind, final int allowed) throws Exception {
    final Path model = kind.equals("text") ? STORYTELLER : GOLDEN;
    long fewest = Long.MAX_VALUE;
    try (GenerationEngine engine = GenerationEngine.start(EngineConfig.of(model))) {
      final long start = System.nanoTime();
      while (fewest > allowed && System.nanoTime() - start < PATIENCE_NANOS) {
        final CountDownLatch done = new CountDownLatch(GENERATIONS);
        final Meter meter = new Meter(done);
        for (int g = 0; g < GENERATIONS; g++) {
          engine.submit(
              GenerationRequest.of("g" + g, new Prompt.Tokens(new int[] {1, 7, 9}))
                  .withMaxTokens(TOKENS)
                  .withIgnoreEos(true),
              g == GENERATIONS - 1 ? meter : new Meter(done));
        }
        assertThat(done.await(60, TimeUnit.SECONDS)).isTrue();
        fewest =
            Math.min(
                fewest, (meter.last.get() - meter.first.get()) / (TOKENS / 2 - 1) / GENERATIONS);
      }
    }
    assertThat(fewest).isLessThanOrEqualTo(allowed);
  }
}
