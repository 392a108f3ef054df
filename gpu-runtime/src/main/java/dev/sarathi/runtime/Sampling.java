package dev.sarathi.runtime;

import java.util.Map;
import java.util.OptionalLong;

/**
 * How the next token is drawn. The order is logit bias, penalties, the constraint, temperature,
 * min-p, top-k, top-p; ties go to the lowest token id.
 *
 * @param temperature 0 for the likeliest token always; otherwise logits are divided by it
 * @param topK keep only this many of the likeliest tokens; 0 keeps all
 * @param topP keep the smallest set of likeliest tokens whose probability reaches this, in (0, 1]
 * @param minP keep only tokens at least so likely in proportion to the likeliest, in [0, 1]
 * @param repetitionPenalty above 1 makes tokens of the prompt and the output less likely, below 1
 *     likelier; above 0
 * @param presencePenalty subtracted from the logits of tokens in the output, in [-2, 2]
 * @param frequencyPenalty subtracted for each time that a token is in the output, in [-2, 2]
 * @param logitBias added to the logits of these token ids, each in [-100, 100]
 * @param seed keys the random numbers; when absent it derives from the request's id
 */
public record Sampling(
    float temperature,
    int topK,
    float topP,
    float minP,
    float repetitionPenalty,
    float presencePenalty,
    float frequencyPenalty,
    Map<Integer, Float> logitBias,
    OptionalLong seed) {

  /** Always the likeliest token. */
  public static final Sampling GREEDY =
      new Sampling(0, 0, 1, 0, 1, 0, 0, Map.of(), OptionalLong.empty());

  private static final float MAX_PENALTY = 2;
  private static final float MAX_BIAS = 100;

  /** Copies the biases. Values are checked when the engine is handed the request. */
  public Sampling {
    logitBias = Map.copyOf(logitBias);
  }

  /**
   * Draws from the whole distribution, its logits divided by {@code temperature}.
   *
   * @param temperature above 0; 1 is the model's own distribution
   * @return a way of sampling without penalties and with no seed of its own
   */
  public static Sampling at(final float temperature) {
    return new Sampling(temperature, 0, 1, 0, 1, 0, 0, Map.of(), OptionalLong.empty());
  }

  /**
   * Keeps only the likeliest tokens.
   *
   * @param value how many; 0 keeps all
   * @return a changed copy
   */
  public Sampling withTopK(final int value) {
    return new Sampling(
        temperature,
        value,
        topP,
        minP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        logitBias,
        seed);
  }

  /**
   * Keeps the smallest set of likeliest tokens that reaches a probability.
   *
   * @param value that probability, in (0, 1]
   * @return a changed copy
   */
  public Sampling withTopP(final float value) {
    return new Sampling(
        temperature,
        topK,
        value,
        minP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        logitBias,
        seed);
  }

  /**
   * Keeps only tokens that are likely in proportion to the likeliest.
   *
   * @param value that proportion, in [0, 1]
   * @return a changed copy
   */
  public Sampling withMinP(final float value) {
    return new Sampling(
        temperature,
        topK,
        topP,
        value,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        logitBias,
        seed);
  }

  /**
   * Sets all three penalties.
   *
   * @param repetition above 0; 1 for none
   * @param presence in [-2, 2]; 0 for none
   * @param frequency in [-2, 2]; 0 for none
   * @return a changed copy
   */
  public Sampling withPenalties(
      final float repetition, final float presence, final float frequency) {
    return new Sampling(
        temperature, topK, topP, minP, repetition, presence, frequency, logitBias, seed);
  }

  /**
   * Adds to the logits of some tokens.
   *
   * @param value what is added, by token id; each in [-100, 100]
   * @return a changed copy
   */
  public Sampling withLogitBias(final Map<Integer, Float> value) {
    return new Sampling(
        temperature,
        topK,
        topP,
        minP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        value,
        seed);
  }

  /**
   * Sets what keys the random numbers.
   *
   * @param value any number
   * @return a changed copy
   */
  public Sampling withSeed(final long value) {
    return new Sampling(
        temperature,
        topK,
        topP,
        minP,
        repetitionPenalty,
        presencePenalty,
        frequencyPenalty,
        logitBias,
        OptionalLong.of(value));
  }

  void validate() {
    if (!(temperature >= 0) || Float.isInfinite(temperature)) {
      throw new InvalidRequestException(
          "temperature", temperature + " is not a finite number of 0 or more");
    }
    if (topK < 0) {
      throw new InvalidRequestException("top_k", topK + " is negative; 0 keeps all tokens");
    }
    if (!(topP > 0 && topP <= 1)) {
      throw new InvalidRequestException("top_p", topP + " is not in (0, 1]");
    }
    if (!(minP >= 0 && minP <= 1)) {
      throw new InvalidRequestException("min_p", minP + " is not in [0, 1]");
    }
    if (!(repetitionPenalty > 0) || Float.isInfinite(repetitionPenalty)) {
      throw new InvalidRequestException(
          "repetition_penalty", repetitionPenalty + " is not a finite number above 0");
    }
    checkPenalty("presence_penalty", presencePenalty);
    checkPenalty("frequency_penalty", frequencyPenalty);
    logitBias.forEach(
        (token, bias) -> {
          if (!(Math.abs(bias) <= MAX_BIAS)) {
            throw new InvalidRequestException(
                "logit_bias", "%s for token %d is not in [-100, 100]".formatted(bias, token));
          }
        });
  }

  private static void checkPenalty(final String field, final float value) {
    if (!(Math.abs(value) <= MAX_PENALTY)) {
      throw new InvalidRequestException(field, value + " is not in [-2, 2]");
    }
  }
}
