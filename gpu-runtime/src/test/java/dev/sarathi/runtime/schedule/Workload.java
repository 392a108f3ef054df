package dev.sarathi.runtime.schedule;

import dev.sarathi.runtime.cache.BlockPool;
import java.util.List;
import java.util.OptionalLong;
import java.util.stream.IntStream;

/**
 * What a property test asks of a scheduler.
 *
 * @param seed decides when the executor answers, and who is held when
 */
record Workload(
    Policy policy,
    Pipeline pipeline,
    Memory memory,
    TokenBudget budget,
    int maxSequences,
    Tenancy tenancy,
    List<Request> requests,
    long seed) {

  /**
   * @param depth batches in flight
   */
  record Pipeline(int depth, Overlap overlap) {}

  /**
   * @param spareBlocks KV blocks beyond those that the longest request needs
   */
  record Memory(int spareBlocks, int blockTokens, boolean prefixCache) {}

  /**
   * @param arrival the step before which it is added
   * @param age subtracted from the arrival to give its rank: an old one overtakes the others
   * @param generated tokens of an earlier run
   * @param wanted tokens to generate beyond those
   * @param cancelAt the step before which it is removed, unless it has ended
   */
  record Request(
      int arrival,
      int age,
      int prompt,
      int generated,
      int wanted,
      int cancelAt,
      Family family,
      Owner owner) {
    int maxGenerated() {
      return generated + wanted;
    }

    int length() {
      return prompt + maxGenerated();
    }
  }

  /**
   * @param bulkFor steps after its arrival until bulk counts as interactive; 0 if it is from the
   *     beginning
   */
  record Owner(String tenant, int bulkFor) {}

  /**
   * Requests that have their first tokens in common, generated ones perhaps among them.
   *
   * @param shared how many of its tokens a request has in common with its family
   * @param group whether its family is its group
   */
  record Family(int id, int shared, boolean group, boolean readsCache) {
    Sharing sharing() {
      return new Sharing(group ? OptionalLong.of(id) : OptionalLong.empty(), readsCache);
    }

    /** Whether it may find what another has computed. */
    boolean finds(final boolean prefixCache) {
      return readsCache && (prefixCache || group);
    }
  }

  /** The token of a request at a position of its prompt or of what the model yields for it. */
  int token(final long request, final int position) {
    final Family family = requests.get((int) request).family();
    return position < family.shared()
        ? -1_000 * (1 + family.id()) - position
        : (int) (1_000 * request + position);
  }

  Sequence sequence(final int id) {
    final Request request = requests.get(id);
    final int bulkFor = request.owner().bulkFor();
    final long rank = request.arrival() + (bulkFor > 0 ? bulkFor : -request.age());
    final Sequence sequence =
        new Sequence(
            id,
            rank,
            IntStream.range(0, request.prompt()).map(p -> token(id, p)).toArray(),
            IntStream.range(0, request.generated())
                .map(i -> token(id, request.prompt() + i))
                .toArray(),
            request.maxGenerated(),
            SamplingRule.GREEDY,
            request.owner().tenant(),
            request.family().sharing());
    return bulkFor > 0 ? sequence.asBulk() : sequence;
  }

  /** The pool holds the longest request, as the engine makes sure of. */
  BlockPool pool() {
    return new BlockPool(
        Math.ceilDiv(contextLength(), memory.blockTokens()) + memory.spareBlocks(),
        memory.blockTokens(),
        memory.prefixCache());
  }

  /** The most tokens of an iteration: auto takes what it likes. */
  int tokenBudget() {
    return policy == Policy.STALL_FREE ? budget.most() : budget.tokens();
  }

  int contextLength() {
    return requests.stream().mapToInt(Request::length).max().orElse(1);
  }

  IterationScheduler scheduler(final BlockPool pool) {
    return (IterationScheduler)
        policy.scheduler(
            pool,
            new Policy.Settings(
                budget, contextLength(), maxSequences, tenancy, 1, pipeline.overlap()));
  }
}
