package dev.sarathi.runtime.capacity;

import dev.sarathi.runtime.cache.BlockPool;
import dev.sarathi.runtime.execute.Limits;
import dev.sarathi.runtime.execute.simulated.Deployment;
import dev.sarathi.runtime.schedule.Overlap;
import dev.sarathi.runtime.schedule.Policy;
import dev.sarathi.runtime.schedule.Scheduler;
import dev.sarathi.runtime.schedule.Tenancy;
import dev.sarathi.runtime.schedule.TokenBudget;

/**
 * Who serves what, and how.
 *
 * @param tokenBudget of the policies that have one
 * @param overlap whether chunks of one prompt follow each other through a pipeline
 * @param cpuMillis what each stage spends on a batch beside the GPU's work
 */
public record Scenario(
    Deployment deployment,
    Policy policy,
    TokenBudget tokenBudget,
    Overlap overlap,
    double cpuMillis,
    Workload workload) {
  public static final double CPU_MILLIS = 5;
  private static final int MAX_SEQUENCES = 128;

  public Scenario {
    tokenBudget.sensible();
    if (overlap == Overlap.ALL) {
      throw new IllegalArgumentException(
          "a stage of a pipeline cannot wait for the token of the last one; valid is NONE, CHUNKS");
    }
    if (!(cpuMillis >= 0)) {
      throw new IllegalArgumentException(
          "CPU time is %s ms; valid is 0 or more".formatted(cpuMillis));
    }
    if (workload.contextLength() > deployment.kvTokens()) {
      throw new IllegalArgumentException(
          "requests of %d tokens do not fit into %s, whose KV cache holds %d"
              .formatted(workload.contextLength(), deployment.title(), deployment.kvTokens()));
    }
  }

  /** As in the paper: chunks of one prompt one by one, and 5 ms of CPU time. */
  public static Scenario of(
      final Deployment deployment,
      final Policy policy,
      final int tokenBudget,
      final Workload workload) {
    return new Scenario(
        deployment, policy, TokenBudget.of(tokenBudget), Overlap.NONE, CPU_MILLIS, workload);
  }

  public Scenario withTokenBudget(final TokenBudget value) {
    return new Scenario(deployment, policy, value, overlap, cpuMillis, workload);
  }

  public Scenario withOverlap(final Overlap value) {
    return new Scenario(deployment, policy, tokenBudget, value, cpuMillis, workload);
  }

  public Scenario withCpuMillis(final double value) {
    return new Scenario(deployment, policy, tokenBudget, overlap, value, workload);
  }

  Scheduler scheduler(final Limits limits) {
    return policy.scheduler(
        new BlockPool(limits.kvBlocks(), limits.blockTokens()),
        new Policy.Settings(
            tokenBudget,
            workload.contextLength(),
            policy == Policy.MIXED ? deployment.targets().mixedSequences() : MAX_SEQUENCES,
            Tenancy.EQUAL,
            deployment.stages(),
            overlap));
  }
}
