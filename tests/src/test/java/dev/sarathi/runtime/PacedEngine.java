package dev.sarathi.runtime;

import dev.sarathi.runtime.execute.Executor;
import dev.sarathi.runtime.execute.Limits;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.StepResult;
import dev.sarathi.runtime.schedule.StepResult.Sampled;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;

/**
 * An engine whose executor computes nothing: it has each batch done a fixed time after the last,
 * and every token is the number of the iteration that emitted it. So a reader can tell of each
 * token when it left the executor, and what is measured is everything but the model.
 *
 * <p>Threading: {@link #emittedAt} may be called from any thread.
 */
public final class PacedEngine implements Executor {
  private static final int MAX_ITERATIONS = 1 << 20;
  private static final int KV_BLOCKS = 1 << 16;
  private static final int BLOCK_TOKENS = 16;
  private static final int CONTEXT = 1 << 15;

  /** So that any iteration's number is a valid token. */
  private static final int FIRST_TOKEN = 16;

  private final long paceNanos;
  private final AtomicLongArray emitted = new AtomicLongArray(MAX_ITERATIONS);
  private Optional<Batch> inFlight = Optional.empty();
  private long due = System.nanoTime();
  private int iteration;

  /**
   * @param pace between the ends of two iterations; zero for as fast as they come
   */
  public PacedEngine(final Duration pace) {
    this.paceNanos = pace.toNanos();
  }

  /** Starts an engine on this executor, which it closes. */
  public GenerationEngine start(final EngineConfig config) {
    return new GenerationEngine(
        config,
        new LoadedModel(
            "paced",
            "paced",
            CONTEXT,
            MAX_ITERATIONS,
            OptionalInt.empty(),
            Set.of(),
            Optional.empty(),
            Optional.empty(),
            this));
  }

  /** A configuration for engines without a model. */
  public static EngineConfig config() {
    return EngineConfig.of(Path.of("no-model"));
  }

  /** When a token was emitted, in the nanoseconds of {@link System#nanoTime()}. */
  public long emittedAt(final int token) {
    return emitted.get(token);
  }

  @Override
  public Limits limits() {
    return new Limits(KV_BLOCKS, BLOCK_TOKENS, 1, "paced");
  }

  @Override
  public boolean accepts() {
    return inFlight.isEmpty();
  }

  @Override
  public void submit(final Batch batch) {
    inFlight = Optional.of(batch);
    due = Math.max(due + paceNanos, now());
  }

  @Override
  public Optional<StepResult> await(final long deadline) {
    while (now() < due) {
      if (now() >= deadline) {
        return Optional.empty();
      }
      LockSupport.parkNanos(Math.min(due, deadline) - now());
    }
    return inFlight.map(this::done);
  }

  private StepResult done(final Batch batch) {
    inFlight = Optional.empty();
    final int token = FIRST_TOKEN + iteration++ % (MAX_ITERATIONS - FIRST_TOKEN);
    final long now = now();
    emitted.set(token, now);
    final List<Sampled> sampled = new ArrayList<>();
    batch.slices().stream()
        .filter(slice -> slice.sampling().isPresent())
        .forEach(
            slice ->
                sampled.add(
                    new Sampled(slice.sequence(), token, Optional.empty(), Optional.empty())));
    return new StepResult(batch.id(), now, now, sampled, List.of(), List.of());
  }

  @Override
  public long now() {
    return System.nanoTime();
  }

  @Override
  public void close() {}
}
