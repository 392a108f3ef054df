package dev.sarathi.runtime.schedule;

import java.util.Map;

/**
 * How those who share an engine share it: served tokens in proportion to weights, and no more at
 * once than the caps allow.
 *
 * @param weights a tenant of weight 2 is served twice the tokens of one of weight 1, which those
 *     have that are not named
 * @param maxRunning how many sequences of one tenant may hold KV blocks at once
 * @param maxTokens how many tokens the running sequences of one tenant may have in the end, prompts
 *     and the most they may generate; a sequence that is larger runs while its tenant has no other
 */
public record Tenancy(Map<String, Double> weights, int maxRunning, long maxTokens) {
  /** Equal weights, no caps. */
  public static final Tenancy EQUAL = new Tenancy(Map.of(), Integer.MAX_VALUE, Long.MAX_VALUE);

  public Tenancy {
    weights = Map.copyOf(weights);
    weights.forEach(
        (tenant, weight) -> {
          if (!(weight > 0) || weight.isInfinite()) {
            throw new IllegalArgumentException(
                "weight of tenant %s is %s; valid is a finite number above 0"
                    .formatted(tenant, weight));
          }
        });
    if (maxRunning < 1) {
      throw new IllegalArgumentException(
          "running sequences of a tenant are limited to " + maxRunning + "; valid is 1 or more");
    }
    if (maxTokens < 1) {
      throw new IllegalArgumentException(
          "tokens of a tenant are limited to " + maxTokens + "; valid is 1 or more");
    }
  }

  public Tenancy withWeights(final Map<String, Double> value) {
    return new Tenancy(value, maxRunning, maxTokens);
  }

  public Tenancy withMaxRunning(final int value) {
    return new Tenancy(weights, value, maxTokens);
  }

  public Tenancy withMaxTokens(final long value) {
    return new Tenancy(weights, maxRunning, value);
  }

  double weight(final String tenant) {
    return weights.getOrDefault(tenant, 1.0);
  }
}
