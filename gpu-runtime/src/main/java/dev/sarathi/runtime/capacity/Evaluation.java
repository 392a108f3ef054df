package dev.sarathi.runtime.capacity;

import dev.sarathi.runtime.execute.simulated.Deployment;
import dev.sarathi.runtime.schedule.Overlap;
import dev.sarathi.runtime.schedule.Policy;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;

/**
 * Sarathi-Serve's evaluation (OSDI'24, section 5), from the schedulers that ship.
 *
 * @param rows capacities, by trace, model and SLO
 * @param cpu capacities of Mistral-7B under the strict SLO, by the CPU term
 * @param chunks what cutting a prompt costs
 * @param ablation the two halves of stall-free, and both
 * @param loads P99 TBT against load
 */
public record Evaluation(
    List<Row> rows,
    List<CpuTerm> cpu,
    List<ChunkOverhead> chunks,
    List<Ablation> ablation,
    List<Load> loads) {
  static final List<Policy> POLICIES =
      List.of(Policy.STALL_FREE, Policy.PREFILL_FIRST, Policy.MIXED, Policy.DECODE_FIRST);
  static final List<Integer> BUDGETS = List.of(512, 768, 256, 1_024, 1_536, 2_048);

  /** The models that the paper has, on the GPUs that it has. */
  static final List<String> PAPERS =
      List.of("mistral-7b", "yi-34b", "llama-2-70b-a40", "falcon-180b");

  static final String SHAREGPT = "openchat_sharegpt4";
  static final String ARXIV = "arxiv_summarization";

  /** Of the engine that made the artifact's measurements: its decode of one, less the GPUs'. */
  private static final double ARTIFACT_CPU_MILLIS = 17.4;

  private static final Slo UNBOUNDED = new Slo(1e9, 1e9);

  /**
   * One line of the paper's Figures 10 and 11.
   *
   * @param capacities of the four policies, chunks of one prompt one by one
   * @param overlapped of stall-free with chunks of one prompt in several stages
   * @param bestBudget the fixed budget with which stall-free bears most
   * @param best what it bears
   * @param auto of stall-free with the budget chosen for each iteration
   * @param autoOverlapped the same, with chunks of one prompt in several stages
   */
  public record Row(
      Deployment deployment,
      String trace,
      boolean strict,
      Map<Policy, Capacity> capacities,
      Capacity overlapped,
      int bestBudget,
      Capacity best,
      Capacity auto,
      Capacity autoOverlapped) {

    double qps(final Policy policy) {
      return capacities.get(policy).qps();
    }

    double over(final Policy policy) {
      return qps(Policy.STALL_FREE) / qps(policy);
    }
  }

  /**
   * @param auto of stall-free with the budget chosen for each iteration
   */
  record CpuTerm(double millis, Map<Policy, Capacity> capacities, Capacity auto) {}

  /**
   * The time of a prefill in chunks over that of the whole.
   *
   * @param measured by the artifact
   * @param asArtifact simulated with the CPU term of the artifact's engine
   * @param simulated with the default one
   */
  record ChunkOverhead(
      int prompt, int chunk, double measured, double asArtifact, double simulated) {}

  /** Seconds. */
  record Ablation(Policy policy, String trace, double medianTtft, double p99Tbt) {}

  record Load(Policy policy, double qps, double p99Tbt) {}

  /**
   * Runs all of it; the results do not depend on the number of threads.
   *
   * @param requests of each trace
   * @param progress is told of each row when it is done; from several threads, one at a time
   */
  public static Evaluation run(final int requests, final int threads, final Consumer<Row> progress)
      throws IOException, InterruptedException {
    final List<Workload> workloads =
        List.of(Workload.named(SHAREGPT).first(requests), Workload.named(ARXIV).first(requests));
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      final List<Future<Row>> rows = new ArrayList<>();
      for (final Workload workload : workloads) {
        for (final Deployment deployment : Deployment.known()) {
          for (final boolean strict : new boolean[] {true, false}) {
            rows.add(pool.submit(() -> row(deployment, workload, strict, progress)));
          }
        }
      }
      final List<Future<CpuTerm>> cpu = new ArrayList<>();
      for (final double millis : new double[] {0, 5, 10, 20, 40}) {
        cpu.add(pool.submit(() -> cpuTerm(workloads.getFirst(), millis)));
      }
      final Future<List<Load>> loads =
          pool.submit((Callable<List<Load>>) () -> underLoad(workloads));
      return new Evaluation(
          all(rows),
          all(cpu),
          chunkOverheads(),
          ablations(workloads),
          all(List.of(loads)).getFirst());
    }
  }

  private static <T> List<T> all(final List<Future<T>> futures) throws InterruptedException {
    final List<T> values = new ArrayList<>();
    for (final Future<T> future : futures) {
      try {
        values.add(future.get());
      } catch (final ExecutionException e) {
        throw new IllegalStateException(e.getCause());
      }
    }
    return values;
  }

  private static Row row(
      final Deployment deployment,
      final Workload workload,
      final boolean strict,
      final Consumer<Row> progress) {
    final Deployment.Targets targets = deployment.targets();
    final int budget = strict ? targets.strictBudget() : targets.relaxedBudget();
    final Slo slo = Slo.ofTbt(strict ? targets.strictTbt() : targets.relaxedTbt());
    final Map<Policy, Capacity> capacities = new EnumMap<>(Policy.class);
    for (final Policy policy : POLICIES) {
      capacities.put(policy, Capacity.of(Scenario.of(deployment, policy, budget, workload), slo));
    }
    final Capacity overlapped =
        deployment.stages() == 1
            ? capacities.get(Policy.STALL_FREE)
            : Capacity.of(
                Scenario.of(deployment, Policy.STALL_FREE, budget, workload)
                    .withOverlap(Overlap.CHUNKS),
                slo);
    final Scenario adaptive =
        Scenario.of(deployment, Policy.STALL_FREE, budget, workload).withTokenBudget(adaptive(slo));
    final Capacity auto = Capacity.of(adaptive, slo);
    final Capacity autoOverlapped =
        deployment.stages() == 1 ? auto : Capacity.of(adaptive.withOverlap(Overlap.CHUNKS), slo);
    int bestBudget = budget;
    Capacity best = capacities.get(Policy.STALL_FREE);
    for (final int other : BUDGETS) {
      final Scenario scenario = Scenario.of(deployment, Policy.STALL_FREE, other, workload);
      // One replay tells whether a whole search could find more.
      if (other != budget
          && new Replay(scenario, best.qps() * 1.01).run(slo) == Replay.Bound.NONE) {
        final Capacity capacity = Capacity.of(scenario, slo);
        if (capacity.qps() > best.qps()) {
          bestBudget = other;
          best = capacity;
        }
      }
    }
    final Row row =
        new Row(
            deployment,
            workload.name(),
            strict,
            Collections.unmodifiableMap(capacities),
            overlapped,
            bestBudget,
            best,
            auto,
            autoOverlapped);
    synchronized (progress) {
      progress.accept(row);
    }
    return row;
  }

  private static CpuTerm cpuTerm(final Workload workload, final double millis) {
    final Deployment mistral = Deployment.named("mistral-7b");
    final Slo slo = Slo.ofTbt(mistral.targets().strictTbt());
    final Map<Policy, Capacity> capacities = new EnumMap<>(Policy.class);
    for (final Policy policy : List.of(Policy.STALL_FREE, Policy.PREFILL_FIRST, Policy.MIXED)) {
      final Scenario scenario =
          Scenario.of(mistral, policy, mistral.targets().strictBudget(), workload)
              .withCpuMillis(millis);
      capacities.put(policy, Capacity.of(scenario, slo));
    }
    final Scenario adaptive =
        Scenario.of(mistral, Policy.STALL_FREE, mistral.targets().strictBudget(), workload)
            .withTokenBudget(adaptive(slo))
            .withCpuMillis(millis);
    return new CpuTerm(millis, capacities, Capacity.of(adaptive, slo));
  }

  private static TokenBudget adaptive(final Slo slo) {
    return new TokenBudget.Adaptive(Duration.ofNanos(Math.round(slo.p99Tbt() * 1e9)));
  }

  /** The measurements are those of the artifact's Figure 9: Yi-34B on two A100. */
  static List<ChunkOverhead> chunkOverheads() {
    final int[] prompts = {2047, 4095, 8191, 16383};
    final int[] sizes = {512, 1024, 2048};
    final double[][] measured = {
      {1.152, 1.175, 0.999}, {1.189, 1.202, 1.024}, {1.117, 1.109, 0.937}, {0.995, 0.961, 0.805}
    };
    final List<ChunkOverhead> overheads = new ArrayList<>();
    for (int p = 0; p < prompts.length; p++) {
      for (int c = 0; c < sizes.length; c++) {
        overheads.add(
            new ChunkOverhead(
                prompts[p],
                sizes[c],
                measured[p][c],
                overhead(prompts[p], sizes[c], ARTIFACT_CPU_MILLIS),
                overhead(prompts[p], sizes[c], Scenario.CPU_MILLIS)));
      }
    }
    return overheads;
  }

  private static double overhead(final int prompt, final int chunk, final double cpuMillis) {
    return prefillSeconds(prompt, chunk, cpuMillis) / prefillSeconds(prompt, prompt, cpuMillis);
  }

  private static double prefillSeconds(final int prompt, final int chunk, final double cpuMillis) {
    final Workload one =
        new Workload("one prompt", 16_384, List.of(new Workload.Request(0, prompt, 1)));
    final Replay replay =
        new Replay(
            Scenario.of(Deployment.named("yi-34b"), Policy.STALL_FREE, chunk, one)
                .withCpuMillis(cpuMillis),
            1);
    replay.run(UNBOUNDED);
    return replay.medianTtft();
  }

  /** The paper's Table 4: Yi-34B, a budget of 1024, the first 128 requests. */
  private static List<Ablation> ablations(final List<Workload> workloads) {
    final List<Ablation> lines = new ArrayList<>();
    for (final Workload workload : workloads) {
      for (final Policy policy :
          List.of(Policy.HYBRID_ONLY, Policy.CHUNKED_ONLY, Policy.STALL_FREE)) {
        final Workload some = workload.first(Math.min(128, workload.requests().size()));
        final Replay replay =
            new Replay(
                Scenario.of(Deployment.named("yi-34b"), policy, 1024, some),
                SHAREGPT.equals(workload.name()) ? 1.0 : 0.5);
        replay.run(UNBOUNDED);
        lines.add(new Ablation(policy, workload.name(), replay.medianTtft(), replay.p99Tbt()));
      }
    }
    return lines;
  }

  private static List<Load> underLoad(final List<Workload> workloads) {
    final List<Load> loads = new ArrayList<>();
    for (final Policy policy : List.of(Policy.STALL_FREE, Policy.PREFILL_FIRST, Policy.MIXED)) {
      for (int eighths = 1; eighths <= 12; eighths++) {
        final double qps = eighths / 8.0;
        final Workload some = workloads.getFirst();
        final Replay replay =
            new Replay(Scenario.of(Deployment.named("yi-34b"), policy, 512, some), qps);
        if (replay.run(new Slo(1e9, 2)) == Replay.Bound.NONE) {
          loads.add(new Load(policy, qps, replay.p99Tbt()));
        }
      }
    }
    return loads;
  }
}
