package dev.sarathi.runtime.execute.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.sarathi.runtime.model.Model;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Input;
import dev.sarathi.runtime.schedule.SamplingPlan;
import dev.sarathi.runtime.schedule.SamplingRule;
import dev.sarathi.runtime.schedule.Slice;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * That an iteration leaves next to nothing to the garbage collector, whose pauses would be somebody
 * else's latency.
 */
class IterationAllocationTest {
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private static final int SEQUENCES = 8;
  private static final int POSITION = 40;
  private static final int ITERATIONS = 100;

  /** By then the compiler has come to everything that runs. */
  private static final long PATIENCE_NANOS = 30_000_000_000L;

  /** Of the result: one of these for each sampled token. */
  private static final int BYTES_FOR_A_TOKEN = 64;

  /** Of the result: lists that hold them. */
  private static final int BYTES_FOR_A_BATCH = 1024;

  private enum Kind {
    GREEDY(SamplingRule.GREEDY),
    DRAWN(SamplingRule.drawing(0.8f, 0, 40, 0.95f, 7)),
    PENALISED(
        new SamplingRule(
            0.8f,
            0,
            0,
            1,
            new SamplingRule.Penalties(1.1f, 0.1f, 0.1f),
            new SamplingRule.LogitBias(new int[] {3}, new float[] {1}),
            7,
            0,
            SamplingRule.NO_LOGPROBS,
            SamplingRule.NO_LOGPROBS,
            false));

    private final SamplingRule rule;

    Kind(final SamplingRule rule) {
      this.rule = rule;
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldAllocateNothingForADecodeButItsResult(final Kind kind) {
    try (Model model = Model.open(Golden.STORYTELLER);
        CpuExecutor executor = new CpuExecutor(model, 64, 64, 2)) {
      final List<Slice> slices = new ArrayList<>();
      for (int s = 0; s < SEQUENCES; s++) {
        slices.add(decode(s, kind.rule));
      }
      final long[] threads = threads();
      long fewest = Long.MAX_VALUE;
      final long start = System.nanoTime();
      final int allowed = SEQUENCES * BYTES_FOR_A_TOKEN + BYTES_FOR_A_BATCH;
      for (long id = 0; fewest > allowed && System.nanoTime() - start < PATIENCE_NANOS; ) {
        final Batch[] batches = new Batch[ITERATIONS];
        for (int i = 0; i < ITERATIONS; i++) {
          batches[i] = new Batch(id++, slices);
        }
        final long before = allocated(threads);
        for (final Batch batch : batches) {
          executor.submit(batch);
          executor.await(Long.MAX_VALUE);
        }
        fewest = Math.min(fewest, (allocated(threads) - before) / ITERATIONS);
      }
      assertThat(fewest).isLessThanOrEqualTo(allowed);
    }
  }

  /** The calling thread and the workers. */
  private static long[] threads() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(t -> t == Thread.currentThread() || t.getName().startsWith("sarathi-cpu-"))
        .mapToLong(Thread::threadId)
        .toArray();
  }

  private static long allocated(final long[] threads) {
    long bytes = 0;
    for (final long thread : threads) {
      bytes += THREADS.getThreadAllocatedBytes(thread);
    }
    return bytes;
  }

  private static Slice decode(final int sequence, final SamplingRule rule) {
    final int[] blocks = {3 * sequence, 3 * sequence + 1, 3 * sequence + 2};
    final int[] tokens = new int[POSITION + 1];
    Arrays.fill(tokens, 5);
    return new Slice(
        sequence,
        POSITION,
        1,
        new Input.Known(new int[] {5}),
        blocks,
        Optional.of(
            new SamplingPlan(
                rule, 20, new SamplingPlan.History(tokens, POSITION - 19, tokens.length))),
        Optional.empty());
  }
}
