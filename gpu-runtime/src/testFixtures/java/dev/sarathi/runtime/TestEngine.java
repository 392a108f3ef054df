package dev.sarathi.runtime;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Function;

/**
 * An engine for the tests of a topology: it answers what a script says, at once, without a model.
 * All else is the engine that ships: the scheduler, the checks of a request, stop strings, lengths,
 * cancellation.
 *
 * <pre>{@code
 * try (TestEngine engine = TestEngine.answering(prompt -> "A printer burns.");
 *     TopologyTestDriver driver = new TopologyTestDriver(topology(engine.engine()), properties)) {
 *   tickets.pipeInput("alice", ticket);
 *   driver.advanceWallClockTime(Duration.ofMillis(10)); // the request is written down
 *   driver.advanceWallClockTime(Duration.ofMillis(10)); // it is generated, and its summary forwarded
 *   assertThat(summaries.readValue()).isEqualTo("A printer burns.");
 * }
 * }</pre>
 *
 * <p>Deterministic: whoever hands the engine a request, or cancels one, waits until the engine has
 * nothing left to do, so that a test sees the same tokens after the same step in every run. Only
 * the instants of emission are the machine's clock; durations are zero, for the engine's own clock
 * stands. An answer longer than a listener takes at once (the setting {@code maxUncommittedTokens}
 * of a generation node) goes on by itself, when there is room again.
 *
 * <p>A token is a byte of UTF-8, and one more ends an answer: a text of ASCII has as many tokens as
 * characters, and {@code withMaxTokens(3)} cuts it after the third. The context is {@value
 * TestEngineExecutor#CONTEXT} tokens. Token ids as prompts are bytes, too. Messages reach the
 * script as one line {@code role: content} each, and {@code assistant:} at the end. An answer that
 * the request's constraint does not allow ends in {@link FinishReason#ERROR}.
 *
 * <p>Threading: every method may be called from any thread but the engine's own, which calls the
 * script.
 */
public final class TestEngine implements AutoCloseable {
  private static final int MAX_SEQUENCES = 4_096;

  private final TestEngineExecutor executor;
  private final GenerationEngine engine;

  private TestEngine(final Function<String, String> script) {
    executor = new TestEngineExecutor(script);
    engine =
        new GenerationEngine(
            EngineConfig.of(Path.of("test-engine"))
                .withTokenBudget(TestEngineExecutor.KV_BLOCKS * TestEngineExecutor.BLOCK_TOKENS)
                .withMaxSequences(MAX_SEQUENCES)
                .withPrefixCache(false)
                .withWarmUp(Duration.ZERO),
            TestEngineModel.on(executor),
            Optional.empty(),
            executor::awaitRest);
  }

  /**
   * Starts an engine.
   *
   * @param script makes the whole answer to a prompt; called once for each choice of a request that
   *     is taken up, so it is also the place to note prompts. If it throws, that choice ends in
   *     {@link FinishReason#ERROR} with the exception's message, and no other is harmed.
   * @return the engine, to be closed by the caller
   */
  public static TestEngine answering(final Function<String, String> script) {
    return new TestEngine(Objects.requireNonNull(script, "script"));
  }

  /** {@return the engine, for {@code Generation.using}} */
  public GenerationEngine engine() {
    return engine;
  }

  /**
   * From now on requests are taken and not answered, as by a slow model; what is half done stays
   * so, until {@link #generate} or {@link #release}.
   */
  public void hold() {
    executor.permit(0);
    engine.wake();
  }

  /**
   * Has every unfinished request gain some tokens, then holds. On return its listener has them.
   *
   * @param tokens how many, at least 1; a request for several choices computes its prompt for the
   *     first of them, and the others begin one token later
   * @throws IllegalArgumentException if there are none
   */
  public void generate(final int tokens) {
    if (tokens < 1) {
      throw new IllegalArgumentException("tokens is " + tokens + "; valid is 1 or more");
    }
    executor.permit(tokens);
    engine.wake();
    hold();
  }

  /** Answers everything that is unfinished, and from now on every request at once. */
  public void release() {
    executor.permit(TestEngineExecutor.WITHOUT_END);
    engine.wake();
  }

  /**
   * Breaks the engine down, as a device does that is gone: every generation in it fails with an
   * {@link EngineFailedException}, and no request is taken any more.
   *
   * @param reason the message of the exceptions
   */
  public void crash(final String reason) {
    executor.crash(Objects.requireNonNull(reason, "reason"));
    engine.wake();
  }

  /** Closes the engine. */
  @Override
  public void close() {
    engine.close();
  }
}
