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
 * @param scored the log-probabilities that slices asked for
 * @param failures the sequences that failed by themselves, without harm to their batch mates
 */
public record StepResult(
    long batch,
    long start,
    long end,
    List<Sampled> sampled,
    List<Scored> scored,
    List<Failure> failures) {

  public StepResult {
    sampled = List.copyOf(sampled);
    scored = List.copyOf(scored);
    failures = List.copyOf(failures);
  }

  /**
   * A token drawn from the last position of a slice.
   *
   * @param logprobs how likely the model held it to be, when the rule asked for it
   * @param logits the row it was drawn from, when the plan asked for it
   */
  public record Sampled(
      long sequence, int token, Optional<Logprobs> logprobs, Optional<float[]> logits) {}

  /**
   * How likely the model held a run of a prompt's tokens to be.
   *
   * @param start the position of the first of them
   */
  public record Scored(long sequence, int start, List<Logprobs> tokens) {
    public Scored {
      tokens = List.copyOf(tokens);
    }
  }

  /** A sequence that cannot go on, for instance because its logits are not numbers. */
  public record Failure(long sequence, String message) {}
}
