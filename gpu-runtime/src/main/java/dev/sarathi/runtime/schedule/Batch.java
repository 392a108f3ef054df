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

  /** How many positions the batch computes. */
  public int tokens() {
    return slices.stream().mapToInt(Slice::count).sum();
  }
}
