package dev.sarathi.runtime.execute;

import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Input;
import dev.sarathi.runtime.schedule.Slice;
import dev.sarathi.runtime.schedule.StepResult;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;

/**
 * Batches of several shapes, computed one by one for the sake of the time that they take: prefill
 * of one tile to many, on contexts short and long, and decodes few and many. They overwrite blocks
 * that no sequence has yet.
 */
public final class Calibration {
  private static final int TILE = 128;
  private static final int[] DECODES = {1, 8, 32, 64, 128};

  private final Executor executor;
  private final int contextLength;
  private final int mostTokens;
  private long batch;

  /** Takes what was measured. */
  @FunctionalInterface
  public interface Observer {
    /**
     * @param nanos from the start to the end of the batch, with nothing else in flight
     */
    void measured(Batch batch, long nanos);
  }

  /**
   * @param contextLength the longest of a sequence
   * @param mostTokens in one batch
   */
  public Calibration(final Executor executor, final int contextLength, final int mostTokens) {
    this.executor = executor;
    this.contextLength = contextLength;
    this.mostTokens = mostTokens;
    this.batch = Long.MIN_VALUE / 2;
  }

  /**
   * Computes and tells; a slow executor is not asked for its largest batches.
   *
   * @param nanos for at most so long, by the executor's clock, and the batch under way
   * @param enough asked before each batch
   */
  public void run(final long nanos, final BooleanSupplier enough, final Observer observer) {
    final long deadline = executor.now() + nanos;
    for (final List<Slice> slices : shapes()) {
      if (enough.getAsBoolean() || executor.now() > deadline) {
        return;
      }
      final Batch next = new Batch(batch++, slices);
      executor.submit(next);
      Optional<StepResult> result = executor.await(Long.MAX_VALUE);
      while (result.isEmpty()) {
        Thread.onSpinWait();
        result = executor.await(Long.MAX_VALUE);
      }
      observer.measured(next, result.get().end() - result.get().start());
    }
  }

  /** Small ones first, which every executor has time for. */
  private List<List<Slice>> shapes() {
    final List<List<Slice>> shapes = new ArrayList<>();
    for (final int context : new int[] {contextLength / 8, contextLength / 2}) {
      for (final int decodes : DECODES) {
        shapes.add(decodes(decodes, Math.clamp(context, 1, 4_000)));
      }
    }
    for (int tokens = TILE; tokens <= mostTokens; tokens += TILE) {
      shapes.add(chunks(0, tokens));
      if (tokens <= mostTokens / 4) {
        shapes.add(chunks(contextLength / 4, tokens));
      }
    }
    shapes.removeIf(List::isEmpty);
    return shapes;
  }

  private List<Slice> decodes(final int count, final int context) {
    final int blockTokens = executor.limits().blockTokens();
    final int common = context / blockTokens;
    // The blocks before are only read, by all; each writes into the last one of its own.
    if (common + count > executor.limits().kvBlocks() || context >= contextLength) {
      return List.of();
    }
    final List<Slice> slices = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      final int[] blocks = IntStream.range(0, common + 1).toArray();
      blocks[common] = common + i;
      slices.add(slice(i, context, 1, blocks));
    }
    return slices;
  }

  /** Of as many sequences as the context makes necessary. */
  private List<Slice> chunks(final int start, final int tokens) {
    final int blockTokens = executor.limits().blockTokens();
    final List<Slice> slices = new ArrayList<>();
    int block = 0;
    for (int left = tokens; left > 0; ) {
      final int count = Math.min(left, contextLength - start);
      final int blocks = Math.ceilDiv(start + count, blockTokens);
      if (count <= 0 || block + blocks > executor.limits().kvBlocks()) {
        return List.of();
      }
      final int first = block;
      slices.add(
          slice(slices.size(), start, count, IntStream.range(first, first + blocks).toArray()));
      block += blocks;
      left -= count;
    }
    return slices;
  }

  private static Slice slice(final int id, final int start, final int count, final int[] blocks) {
    final int[] ids = new int[count];
    Arrays.fill(ids, 0);
    return new Slice(
        -1L - id, start, count, new Input.Known(ids), blocks, Optional.empty(), Optional.empty());
  }
}
