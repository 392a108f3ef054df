package dev.sarathi.runtime.schedule;

import dev.sarathi.runtime.cache.BlockPool;
import java.util.Arrays;
import java.util.stream.Collectors;

/**
 * How an iteration is composed, each as in the system that it is named after, so that they can be
 * compared on one's own load.
 */
public enum Policy {
  /**
   * Sarathi-Serve: every decode in every batch, chunks of prefill in what is left of the budget.
   */
  STALL_FREE("stall-free") {
    @Override
    public Scheduler scheduler(final BlockPool pool, final Settings settings) {
      final long kvTokens = (long) pool.size() * pool.blockTokens();
      return new StallFree(pool, settings, PrefillBudget.of(settings, kvTokens));
    }
  },

  /**
   * vLLM, as in Sarathi-Serve's paper: whole prompts alone whenever there are any, else decodes.
   */
  PREFILL_FIRST("prefill-first") {
    @Override
    public Scheduler scheduler(final BlockPool pool, final Settings settings) {
      return new PrefillFirst(pool, settings);
    }
  },

  /** Orca: all decodes and as many whole prompts as there is room for. */
  MIXED("mixed") {
    @Override
    public Scheduler scheduler(final BlockPool pool, final Settings settings) {
      return new Mixed(pool, settings);
    }
  },

  /** FasterTransformer: whole prompts, then their decodes alone until all of them have ended. */
  DECODE_FIRST("decode-first") {
    @Override
    public Scheduler scheduler(final BlockPool pool, final Settings settings) {
      return new DecodeFirst(pool, settings);
    }
  },

  /** Half of stall-free: chunks of prefill, but never beside decodes. */
  CHUNKED_ONLY("chunked-only") {
    @Override
    public Scheduler scheduler(final BlockPool pool, final Settings settings) {
      return new ChunkedOnly(pool, settings);
    }
  },

  /**
   * The other half: prefill beside decodes, but with the whole context as budget, all but uncut.
   */
  HYBRID_ONLY("hybrid-only") {
    @Override
    public Scheduler scheduler(final BlockPool pool, final Settings settings) {
      return new StallFree(pool, settings, new PrefillBudget.FixedBudget(settings.contextLength));
    }
  };

  private final String label;

  Policy(final String label) {
    this.label = label;
  }

  /**
   * What policies are built from; each takes what it needs.
   *
   * @param tokenBudget tokens of one iteration, decodes and prefill together; decodes are not cut
   *     by it
   * @param contextLength the most tokens of one sequence
   * @param maxSequences how many sequences may hold KV blocks at once
   * @param stages how many stages of a pipeline compute at the same time, each another batch; 1 for
   *     an executor that only takes the next batch early
   * @param overlap what of one sequence may be in flight at once
   */
  public record Settings(
      TokenBudget tokenBudget,
      int contextLength,
      int maxSequences,
      Tenancy tenancy,
      int stages,
      Overlap overlap) {}

  /**
   * @param pool the executor's KV blocks, at least enough for one sequence of full length
   */
  public abstract Scheduler scheduler(BlockPool pool, Settings settings);

  /**
   * The policy of a name, as in configurations.
   *
   * @throws IllegalArgumentException if there is none
   */
  public static Policy named(final String name) {
    return Arrays.stream(values())
        .filter(policy -> policy.label.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "policy is %s; valid is %s"
                        .formatted(
                            name,
                            Arrays.stream(values())
                                .map(Policy::toString)
                                .collect(Collectors.joining(", ")))));
  }

  /** Its name in configurations. */
  @Override
  public String toString() {
    return label;
  }
}
