package dev.sarathi.runtime.schedule;

import dev.sarathi.runtime.cache.BlockPool;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/**
 * What one decision costs: planning a batch and taking its result, with 256 sequences running and
 * 10,000 waiting. A sequence that has ended makes room for a waiting one, and another one comes.
 * Prompts begin alike and the prefix cache is on.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 8, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 1, jvmArgsAppend = "-Xmx1g")
public class SchedulerBenchmark {
  private static final int RUNNING = 256;
  private static final int WAITING = 10_000;

  /** A power of two, so that the place of a sequence is in the last bits of its id. */
  private static final int PLACES = 1 << 14;

  @Param({"stall-free", "prefill-first", "mixed", "decode-first", "chunked-only", "hybrid-only"})
  private String policy;

  @Param({"1", "20"})
  private int tenants;

  private final Random random = new Random(1);
  private final Sequence[] live = new Sequence[RUNNING + WAITING];
  private final int[] maxGenerated = new int[live.length];
  private final int[][] prompts = new int[1_000][];
  private Scheduler scheduler;
  private long now;
  private long decisions;
  private long decisionNanos;

  @Test
  void measure() throws RunnerException {
    new Runner(new OptionsBuilder().include(SchedulerBenchmark.class.getSimpleName()).build())
        .run();
  }

  @Setup
  public void fill() {
    scheduler =
        Policy.named(policy)
            .scheduler(
                new BlockPool(RUNNING * 32, 16, true),
                new Policy.Settings(
                    TokenBudget.of(512), 512, RUNNING, Tenancy.EQUAL, 1, Overlap.ALL));
    for (int i = 0; i < prompts.length; i++) {
      prompts[i] = random.ints(100 + random.nextInt(200), 0, 50_000).toArray();
      Arrays.fill(prompts[i], 0, 64, i % 4);
    }
    IntStream.range(0, live.length).forEach(this::arrive);
    for (int i = 0; i < 2_000; i++) {
      iteration();
    }
  }

  /** A place is taken by one sequence after another; ids count on. */
  private void arrive(final int place) {
    maxGenerated[place] = 50 + random.nextInt(150);
    live[place] =
        new Sequence(
            now * PLACES + place,
            now,
            prompts[random.nextInt(prompts.length)],
            new int[0],
            maxGenerated[place],
            SamplingRule.GREEDY,
            "tenant-" + place % tenants,
            Sharing.DEFAULT);
    scheduler.add(live[place]);
  }

  @Benchmark
  public Batch iteration() {
    now++;
    final long start = System.nanoTime();
    final Batch batch = scheduler.next(now).orElseThrow();
    decisionNanos += System.nanoTime() - start;
    decisions++;
    final List<StepResult.Sampled> sampled = new ArrayList<>(batch.slices().size());
    for (final Slice slice : batch.slices()) {
      if (slice.sampling().isPresent()) {
        sampled.add(
            new StepResult.Sampled(slice.sequence(), 1, Optional.empty(), Optional.empty()));
      }
    }
    scheduler
        .completed(new StepResult(batch.id(), 0, 0, sampled, List.of(), List.of()))
        .forEach(this::end);
    return batch;
  }

  /** The score counts taking the result, ends and arrivals too. */
  @TearDown(Level.Iteration)
  public void report() {
    System.out.printf(
        Locale.ROOT, "[the decision itself: %.1f us] ", decisionNanos / 1e3 / decisions);
    decisions = 0;
    decisionNanos = 0;
  }

  private void end(final StepResult.Sampled sampled) {
    final int place = (int) (sampled.sequence() % PLACES);
    if (live[place].generated() == maxGenerated[place]) {
      scheduler.remove(sampled.sequence());
      arrive(place);
    }
  }
}
