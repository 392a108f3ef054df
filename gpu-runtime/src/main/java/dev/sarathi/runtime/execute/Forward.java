package dev.sarathi.runtime.execute;

import dev.sarathi.runtime.schedule.Batch;

/**
 * A batch's pass through a model, which is all that executors of one batch at a time differ in.
 *
 * <p>Threading: as the executor's.
 */
public interface Forward extends AutoCloseable {

  /** The ids of the batch's rows, to be written before {@link #run}. */
  int[] tokens();

  /**
   * Computes a batch whose blocks, positions and tokens have been checked, and which has no more
   * rows than there are buffers for; or begins to.
   */
  void run(Batch batch);

  /** Returns when the batch of the last run is computed. */
  default void finish() {}

  /** What became of the slices of the last run that is finished. */
  Readout readout();

  @Override
  void close();
}
