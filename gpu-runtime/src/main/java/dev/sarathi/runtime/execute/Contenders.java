package dev.sarathi.runtime.execute;

/**
 * What is enough of a row of logits, all of which are numbers, to draw a token by one plan: the
 * likeliest token, and all of those that may win the {@link Sampler}'s race. Whoever finds them
 * need not know which of them wins; it must be sure that min-p, top-k and top-p keep each of them,
 * and that the winner is one.
 *
 * @param tokens the likeliest first; ties by rising id. Further on it may come again
 * @param logits one for each of them
 */
public record Contenders(int[] tokens, float[] logits) {
  /** The most that are worth being told; where there are more, all logits are. */
  public static final int MOST = 8;
}
