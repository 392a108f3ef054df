package dev.sarathi.runtime;

import java.util.OptionalLong;

/**
 * How the next token is drawn. The order is temperature, top-k, top-p; ties go to the lowest token
 * id.
 *
 * @param temperature 0 for the likeliest token always; otherwise logits are divided by it
 * @param topK keep only this many of the likeliest tokens; 0 keeps all
 * @param topP keep the smallest set of likeliest tokens whose probability reaches this, in (0, 1]
 * @param seed keys the random numbers; when absent it derives from the request's id
 */
public record Sampling(float temperature, int topK, float topP, OptionalLong seed) {

  /** Always the likeliest token. */
  public static final Sampling GREEDY = new Sampling(0, 0, 1, OptionalLong.empty());

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
  }
}
