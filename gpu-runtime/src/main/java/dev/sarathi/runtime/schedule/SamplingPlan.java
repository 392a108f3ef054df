package dev.sarathi.runtime.schedule;

/**
 * How to choose one token from a row of logits. The choice is a pure function of the logits and of
 * this record: the generator is counter-based, keyed by {@code (seed, choice, outputIndex, token
 * id)}, so that a replay, a preemption or a resume draws the same numbers.
 *
 * @param temperature 0 for greedy; otherwise logits are divided by it
 * @param topK keep only this many of the likeliest tokens; 0 keeps all
 * @param topP keep the smallest set of likeliest tokens whose probability reaches this; 1 keeps all
 * @param seed the request's seed
 * @param choice which of the request's choices this is, from 0
 * @param outputIndex the index of the sampled token among the generated tokens, from 0
 * @param returnLogits whether the row's logits are wanted with the token
 */
public record SamplingPlan(
    float temperature,
    int topK,
    float topP,
    long seed,
    int choice,
    int outputIndex,
    boolean returnLogits) {

  /** The likeliest token; ties go to the lowest id. */
  public static SamplingPlan greedy(final int outputIndex, final boolean returnLogits) {
    return new SamplingPlan(0, 0, 1, 0, 0, outputIndex, returnLogits);
  }

  /** The same plan for another output; logits are given only with the first. */
  SamplingPlan at(final int index) {
    return new SamplingPlan(
        temperature, topK, topP, seed, choice, index, returnLogits && index == 0);
  }
}
