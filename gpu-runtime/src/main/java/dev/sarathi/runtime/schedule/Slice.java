package dev.sarathi.runtime.schedule;

import java.util.Optional;

/**
 * A run of consecutive positions of one sequence in a {@link Batch}: a chunk of a prefill, or the
 * one position of a decode.
 *
 * @param sequence the sequence's id
 * @param start the absolute position of the first token
 * @param count how many positions, at least 1
 * @param input the ids at these positions
 * @param blocks the KV blocks of positions 0 to {@code start + count}, in order; the array may be
 *     longer, and what lies beyond these blocks may change
 * @param sampling present when a token is to be sampled from the logits of the last position
 * @param scoring present when the log-probabilities of prompt tokens are wanted
 */
public record Slice(
    long sequence,
    int start,
    int count,
    Input input,
    int[] blocks,
    Optional<SamplingPlan> sampling,
    Optional<PromptScoring> scoring) {

  /** The position after the last one of this slice. */
  public int end() {
    return start + count;
  }
}
