package dev.sarathi.runtime.schedule;

import dev.sarathi.runtime.cache.BlockPool;
import java.util.List;
import java.util.Optional;

/**
 * Decides, iteration by iteration, which positions of which sequences are computed. A scheduler is
 * pure: no clock but the one it is handed, no I/O, no threads; the same objects run in production,
 * in tests and in simulations.
 *
 * <p>Threading: confined to the engine thread.
 */
public interface Scheduler {

  /** Takes a sequence to be served. */
  void add(Sequence sequence);

  /** Forgets a sequence, finished or cancelled, and frees its blocks; unknown ids are ignored. */
  void remove(long sequence);

  /**
   * The next batch, to be submitted at once; empty when nothing can be computed now.
   *
   * @param now the executor's clock, in nanoseconds
   */
  Optional<Batch> next(long now);

  /**
   * Takes the result of a batch, in the order of submission.
   *
   * @return the sampled tokens that count; those of sequences removed or preempted in the meantime
   *     do not, they are sampled again
   */
  List<StepResult.Sampled> completed(StepResult result);

  /**
   * Learns how long the executor takes for a batch that is none of this scheduler's, computed with
   * nothing else in flight.
   */
  default void learn(final Batch batch, final long nanos) {}

  /** What it holds now. */
  Load load();

  /** What its KV blocks are used for, and what the prefix cache has been good for. */
  BlockPool.Load blocks();

  /**
   * The tokens that the latest batch was given, decodes and prefill together; as many as its
   * decodes where these alone are more. 0 where there is no budget.
   */
  default int tokenBudget() {
    return 0;
  }

  /** The sequences preempted for the latest batch, or since it, in order. */
  List<Long> preempted();

  /**
   * @param waiting sequences not admitted yet, or preempted
   * @param running sequences that hold KV blocks
   * @param preemptions how often a sequence lost its blocks, since the start
   * @param freeBlocks KV blocks that can be taken, cached ones included
   */
  record Load(int waiting, int running, long preemptions, int freeBlocks) {}
}
