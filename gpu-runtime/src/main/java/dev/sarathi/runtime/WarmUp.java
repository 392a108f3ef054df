package dev.sarathi.runtime;

import dev.sarathi.runtime.execute.Executor;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Input;
import dev.sarathi.runtime.schedule.SamplingPlan;
import dev.sarathi.runtime.schedule.SamplingRule;
import dev.sarathi.runtime.schedule.Slice;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Computes batches that nobody waits for, so that the JIT compiler has seen the executor's kernels
 * before the first request: interpreted, they are a hundred times slower. The batches overwrite
 * blocks that no sequence has yet.
 */
final class WarmUp {
  private static final Logger LOG = LoggerFactory.getLogger(WarmUp.class);

  /** Rows of a batch in turn: decodes, for which rows are few, oftener than prefill chunks. */
  private static final int[] ROWS = {1, 1, 3, 1, 16, 1, 7, 1, 64};

  /** By then everything is compiled, however fast the machine. */
  private static final int MAX_BATCHES = 900;

  private final Executor executor;
  private final int contextLength;
  private long batch = Long.MIN_VALUE;

  WarmUp(final Executor executor, final int contextLength) {
    this.executor = executor;
    this.contextLength = contextLength;
  }

  /** Goes on until {@code enough} says so, at most for {@code limit} and the batch under way. */
  void run(final Duration limit, final BooleanSupplier enough) {
    if (limit.isZero()) {
      return;
    }
    final long start = System.nanoTime();
    int batches = 0;
    while (batches < MAX_BATCHES
        && System.nanoTime() - start < limit.toNanos()
        && !enough.getAsBoolean()) {
      compute(Math.min(contextLength, ROWS[batches % ROWS.length]));
      batches++;
    }
    LOG.info(
        "executor warmed up in {} ms: batches={}",
        (System.nanoTime() - start) / 1_000_000,
        batches);
  }

  private void compute(final int rows) {
    final int[] blocks =
        IntStream.range(0, Math.ceilDiv(rows, executor.limits().blockTokens())).toArray();
    final SamplingPlan plan = SamplingPlan.first(SamplingRule.drawing(1, 0, 20, 0.9f, 0));
    final Slice slice =
        new Slice(
            -1,
            0,
            rows,
            new Input.Known(new int[rows]),
            blocks,
            Optional.of(plan),
            Optional.empty());
    executor.submit(new Batch(batch++, List.of(slice)));
    while (executor.await(Long.MAX_VALUE).isEmpty()) {
      Thread.onSpinWait();
    }
  }
}
