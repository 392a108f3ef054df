package dev.sarathi.runtime.schedule;

/**
 * How the tokens of one sequence are chosen; the same for all of them. Applied in this order: bias,
 * penalties, the plan's mask, temperature, min-p, top-k, top-p. The generator is counter-based,
 * keyed by {@code (seed, choice, output index, token id)}, so that a replay, a preemption or a
 * resume draws the same numbers.
 *
 * @param temperature 0 for greedy; otherwise logits are divided by it
 * @param minP keep only tokens at least so likely in proportion to the likeliest; 0 keeps all
 * @param topK keep only this many of the likeliest tokens; 0 keeps all
 * @param topP keep the smallest set of likeliest tokens whose probability reaches this; 1 keeps all
 * @param penalties on tokens that were seen before
 * @param bias added to logits
 * @param seed the request's seed
 * @param choice which of the request's choices this is, from 0
 * @param logprobs how many of the likeliest tokens are reported beside the chosen one, with their
 *     log-probabilities; {@link #NO_LOGPROBS} reports none, not even the chosen one's
 * @param promptLogprobs the same for each token of the prompt but the first
 * @param returnLogits whether the logits are wanted with each token
 */
public record SamplingRule(
    float temperature,
    float minP,
    int topK,
    float topP,
    Penalties penalties,
    LogitBias bias,
    long seed,
    int choice,
    int logprobs,
    int promptLogprobs,
    boolean returnLogits) {

  public static final int NO_LOGPROBS = -1;

  /** The likeliest token always; ties go to the lowest id. */
  public static final SamplingRule GREEDY =
      new SamplingRule(
          0, 0, 0, 1, Penalties.NONE, LogitBias.NONE, 0, 0, NO_LOGPROBS, NO_LOGPROBS, false);

  /**
   * Lowers the logits of tokens seen before.
   *
   * @param repetition divides the positive logits of tokens in the prompt or the output and
   *     multiplies their negative ones; 1 for none (Keskar et al., CTRL)
   * @param presence subtracted once from the logit of a token in the output; 0 for none
   * @param frequency subtracted for each time that a token is in the output; 0 for none
   */
  public record Penalties(float repetition, float presence, float frequency) {
    public static final Penalties NONE = new Penalties(1, 0, 0);
  }

  /**
   * What is added to the logits of some tokens.
   *
   * @param tokens distinct ids; not modified after construction
   * @param values one for each token; not modified after construction
   */
  public record LogitBias(int[] tokens, float[] values) {
    public static final LogitBias NONE = new LogitBias(new int[0], new float[0]);
  }

  /** Whether the choice of a token depends on the tokens before it, other than by the logits. */
  boolean needsHistory() {
    return !penalties.equals(Penalties.NONE);
  }

  /** A rule without penalties, bias or reports, for the first choice. */
  public static SamplingRule drawing(
      final float temperature,
      final float minP,
      final int topK,
      final float topP,
      final long seed) {
    return new SamplingRule(
        temperature,
        minP,
        topK,
        topP,
        Penalties.NONE,
        LogitBias.NONE,
        seed,
        0,
        NO_LOGPROBS,
        NO_LOGPROBS,
        false);
  }

  /** The same rule for another choice; only the first reports on the prompt and returns logits. */
  public SamplingRule forChoice(final int value) {
    return new SamplingRule(
        temperature,
        minP,
        topK,
        topP,
        penalties,
        bias,
        seed,
        value,
        logprobs,
        value == 0 ? promptLogprobs : NO_LOGPROBS,
        returnLogits && value == 0);
  }

  public SamplingRule withPenalties(final Penalties value) {
    return new SamplingRule(
        temperature,
        minP,
        topK,
        topP,
        value,
        bias,
        seed,
        choice,
        logprobs,
        promptLogprobs,
        returnLogits);
  }

  public SamplingRule withBias(final LogitBias value) {
    return new SamplingRule(
        temperature,
        minP,
        topK,
        topP,
        penalties,
        value,
        seed,
        choice,
        logprobs,
        promptLogprobs,
        returnLogits);
  }

  public SamplingRule withPromptLogprobs(final int value) {
    return new SamplingRule(
        temperature,
        minP,
        topK,
        topP,
        penalties,
        bias,
        seed,
        choice,
        logprobs,
        value,
        returnLogits);
  }

  public SamplingRule withReturnLogits(final boolean value) {
    return new SamplingRule(
        temperature,
        minP,
        topK,
        topP,
        penalties,
        bias,
        seed,
        choice,
        logprobs,
        promptLogprobs,
        value);
  }
}
