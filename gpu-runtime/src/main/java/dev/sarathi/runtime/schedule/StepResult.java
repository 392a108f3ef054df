package dev.sarathi.runtime.schedule;

import java.util.List;
import java.util.Optional;

/**
 * What became of a batch.
 *
 * @param batch the batch's id
 * @param start when the executor began it, in the executor's nanoseconds
 * @param end when it was done
 * @param sampled a token for each slice that asked for one and did not fail
 * @param failures the sequences that failed by themselves, without harm to their batch mates
 */
public record StepResult(
    long batch, long start, long end, List<Sampled> sampled, List<Failure> failures) {

  public StepResult {
    sampled = List.copyOf(sampled);
    failures = List.copyOf(failures);
  }

  /**
   * A token drawn from the last position of a slice.
   *
   * @param logits the row it was drawn from, when the plan asked for it
   */
  public record Sampled(long sequence, int token, Optional<float[]> logits) {}

  /** A sequence that cannot go on, for instance because its logits are not numbers. */
  public record Failure(long sequence, String message) {}
}
