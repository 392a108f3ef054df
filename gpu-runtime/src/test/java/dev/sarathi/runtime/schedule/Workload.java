package dev.sarathi.runtime.schedule;

import java.util.List;

/**
 * What a property test asks of a scheduler.
 *
 * @param depth batches in flight
 * @param spareBlocks KV blocks beyond those that the longest request needs
 * @param seed decides when the executor answers, and who is held when
 */
record Workload(
    int depth,
    int spareBlocks,
    int blockTokens,
    int tokenBudget,
    int maxSequences,
    List<Request> requests,
    long seed) {

  /**
   * @param arrival the step before which it is added
   * @param age subtracted from the arrival to give its rank: an old one overtakes the others
   * @param generated tokens of an earlier run
   * @param wanted tokens to generate beyond those
   * @param cancelAt the step before which it is removed, unless it has ended
   */
  record Request(int arrival, int age, int prompt, int generated, int wanted, int cancelAt) {
    int maxGenerated() {
      return generated + wanted;
    }

    int length() {
      return prompt + maxGenerated();
    }
  }

  /** The pool holds the longest request, as the engine makes sure of. */
  int blocks() {
    final int longest = requests.stream().mapToInt(Request::length).max().orElse(1);
    return Math.ceilDiv(longest, blockTokens) + spareBlocks;
  }
}
