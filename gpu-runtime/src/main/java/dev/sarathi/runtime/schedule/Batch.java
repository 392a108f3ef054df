package dev.sarathi.runtime.schedule;

import java.util.List;

/**
 * One iteration's work: prefill chunks and decodes side by side, computed in one forward pass.
 *
 * @param id increases by one from batch to batch
 * @param slices at most one run of positions for each sequence
 */
public record Batch(long id, List<Slice> slices) {

  public Batch {
    slices = List.copyOf(slices);
  }

  /** A part of this batch's work, for executors that compute it in several passes. */
  public Batch part(final List<Slice> some) {
    return new Batch(id, some);
  }

  /** How many positions the batch computes. */
  public int tokens() {
    return slices.stream().mapToInt(Slice::count).sum();
  }
}
