package dev.sarathi.runtime.execute;

import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.StepResult;
import java.util.Optional;

/**
 * The seam between policy and hardware: takes batches, gives back sampled tokens. It is
 * asynchronous because a GPU, a pipeline of stages and a simulated clock all are.
 *
 * <p>Threading: one thread, the engine's, calls every method.
 */
public interface Executor extends AutoCloseable {

  /** What this executor can hold; constant for its lifetime. */
  Limits limits();

  /** Whether a batch may be submitted now. */
  boolean accepts();

  /**
   * Takes a batch. Batches are executed first in, first out, so that a KV block freed by the
   * scheduler is reusable at once. Never blocks.
   *
   * @throws IllegalStateException if {@link #accepts()} is false
   */
  void submit(Batch batch);

  /**
   * Waits for the oldest batch in flight.
   *
   * @param deadline when to stop waiting, in the nanoseconds of {@link #now()}
   * @return its result, or empty when the deadline passed, when nothing is in flight, or when
   *     {@link #accepts()} has turned true during the wait
   * @throws ExecutorFailedException if the executor itself is broken and no later batch can succeed
   */
  Optional<StepResult> await(long deadline);

  /** The executor's clock in nanoseconds: monotonic, of no particular origin. */
  long now();

  @Override
  void close();
}
