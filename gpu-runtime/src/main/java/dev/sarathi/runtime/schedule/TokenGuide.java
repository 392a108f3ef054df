package dev.sarathi.runtime.schedule;

/**
 * Says which tokens may follow in one sequence. What it says is a function of the tokens it was
 * given.
 *
 * <p>Threading: confined to the engine thread.
 */
public interface TokenGuide {

  /**
   * The tokens that may come next, one bit for each, in the order of {@link java.util.BitSet}.
   *
   * @param remaining how many tokens may still be generated, at least 1
   * @return not modified later; empty of bits if the sequence cannot go on
   */
  long[] allowed(int remaining);

  /** The sequence has gained a token. */
  void accept(int token);
}
