package dev.sarathi.runtime.schedule;

import java.util.Optional;

/**
 * How to choose one token from a row of logits. The choice is a pure function of the logits and of
 * this record.
 *
 * @param rule the sequence's
 * @param outputIndex the index of the sampled token among the generated tokens, from 0
 * @param history the tokens before it, where the rule's penalties ask for them
 * @param allowed the tokens that may be chosen, one bit for each; absent if all may; not modified
 *     after construction
 */
public record SamplingPlan(
    SamplingRule rule, int outputIndex, History history, Optional<long[]> allowed) {

  /**
   * The tokens of a sequence up to a point.
   *
   * @param tokens prompt, then output; elements below {@code length} are not modified after
   *     construction
   * @param promptLength how many of them are the prompt
   * @param length how many there are
   */
  public record History(int[] tokens, int promptLength, int length) {
    public static final History NONE = new History(new int[0], 0, 0);
  }

  /** All tokens may be chosen. */
  public SamplingPlan(final SamplingRule rule, final int outputIndex, final History history) {
    this(rule, outputIndex, history, Optional.empty());
  }

  /** The first token of a sequence whose rule needs no history. */
  public static SamplingPlan first(final SamplingRule rule) {
    return new SamplingPlan(rule, 0, History.NONE);
  }
}
