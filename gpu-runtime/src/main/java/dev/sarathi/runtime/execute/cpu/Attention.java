package dev.sarathi.runtime.execute.cpu;

import static dev.sarathi.runtime.execute.cpu.KvCache.BLOCK_TOKENS;
import static dev.sarathi.runtime.execute.cpu.Lanes.FLOATS;
import static dev.sarathi.runtime.execute.cpu.Lanes.LENGTH;

import dev.sarathi.runtime.model.ModelConfig;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * Attention of a few queries over one sequence's paged keys and values. Each query walks its keys
 * block by block from position 0, or from the block in which its window begins, with a running
 * maximum (online softmax), so that its result does not depend on the chunk or on the queries
 * beside it. Up to {@link #QUERIES} queries share the loads of a block; they are heads of one
 * group, or neighbouring positions, or both.
 *
 * <p>Threading: holds the scratch memory of one worker.
 */
final class Attention {
  /** Queries that walk together: enough independent chains to hide the latency of a sum. */
  static final int QUERIES = 4;

  private static final ByteOrder ORDER = ByteOrder.nativeOrder();
  private static final int ROW = Float.BYTES * BLOCK_TOKENS;

  private final int headDim;
  private final int paddedDim;
  private final int kvHeads;
  private final int group;
  private final float scale;

  // One row for each query.
  private final float[] queries;
  private final float[] outputs;
  private final float[] scores = new float[QUERIES * BLOCK_TOKENS];
  private final float[] sums = new float[QUERIES * BLOCK_TOKENS];
  private final float[] maxima = new float[QUERIES];

  Attention(final ModelConfig config) {
    headDim = config.headDim();
    paddedDim = KvCache.paddedDim(config);
    kvHeads = config.kvHeads();
    group = config.heads() / config.kvHeads();
    scale = (float) (1 / Math.sqrt(headDim));
    queries = new float[QUERIES * paddedDim];
    outputs = new float[QUERIES * paddedDim];
  }

  /**
   * Computes all query heads that share one KV head, for consecutive positions of one sequence.
   *
   * @param window how many positions back a query sees, its own the first
   * @param blocks the sequence's blocks, already holding the keys and values of these positions
   * @param position the first row's
   * @param x rows of {@code stride} floats that begin with all query heads
   * @param y rows of {@code heads * headDim} floats
   */
  void run(
      final KvCache cache,
      final int layer,
      final int head,
      final int window,
      final int[] blocks,
      final int position,
      final int row,
      final int rows,
      final float[] x,
      final int stride,
      final float[] y) {
    final int width = kvHeads * group * headDim;
    for (int first = 0; first < rows * group; first += QUERIES) {
      final int count = Math.min(QUERIES, rows * group - first);
      for (int i = 0; i < count; i++) {
        final int from =
            (row + (first + i) / group) * stride + queryHead(head, first + i) * headDim;
        for (int d = 0; d < headDim; d++) {
          queries[i * paddedDim + d] = x[from + d] * scale;
        }
      }
      walk(cache, layer, head, window, blocks, position, first, count);
      for (int i = 0; i < count; i++) {
        final int to = (row + (first + i) / group) * width + queryHead(head, first + i) * headDim;
        final float sum = RowKernels.sum(sums, i * BLOCK_TOKENS);
        for (int d = 0; d < headDim; d++) {
          y[to + d] = outputs[i * paddedDim + d] / sum;
        }
      }
    }
  }

  private int queryHead(final int head, final int query) {
    return head * group + query % group;
  }

  private void walk(
      KvCache cache,
      int layer,
      int head,
      int window,
      int[] blocks,
      int position,
      int first,
      int count) {
    Arrays.fill(outputs, 0, count * paddedDim, 0);
    Arrays.fill(sums, 0, count * BLOCK_TOKENS, 0);
    Arrays.fill(maxima, Float.NEGATIVE_INFINITY);
    final int end = position + (first + count - 1) / group + 1;
    final int begin = Math.max(0, position + first / group + 1 - window);
    for (int start = begin - begin % BLOCK_TOKENS; start < end; start += BLOCK_TOKENS) {
      final int block = blocks[start / BLOCK_TOKENS];
      final long keys = cache.keys(layer, block, head);
      final long values = cache.values(layer, block, head);
      if (count == 1) {
        score(cache.data, keys, queries, headDim, scores);
      } else {
        score4(cache.data, keys, queries, paddedDim, headDim, scores);
      }
      boolean whole = count == QUERIES;
      for (int i = 0; i < count; i++) {
        final int to = visible(position, first + i, start);
        final int from = hidden(position, first + i, window, start);
        whole &= from == 0 && to == BLOCK_TOKENS;
        if (from < to) {
          softmax(i, from, to);
        }
      }
      if (whole) {
        weigh4(cache.data, values, scores, outputs, paddedDim);
        continue;
      }
      for (int i = 0; i < count; i++) {
        weigh(
            cache.data,
            values,
            scores,
            i * BLOCK_TOKENS,
            hidden(position, first + i, window, start),
            visible(position, first + i, start),
            outputs,
            i * paddedDim,
            paddedDim);
      }
    }
  }

  /** How many positions of the block that begins at {@code start} a query may see. */
  private int visible(int position, int query, int start) {
    return Math.clamp(position + query / group + 1 - start, 0, BLOCK_TOKENS);
  }

  /** How many positions of that block are behind a query's window. */
  private int hidden(int position, int query, int window, int start) {
    return Math.clamp(position + query / group + 1 - window - start, 0, BLOCK_TOKENS);
  }

  /** Turns a block's scores into weights relative to the running maximum. */
  private void softmax(final int query, final int hidden, final int visible) {
    final int from = query * BLOCK_TOKENS;
    Arrays.fill(scores, from, from + hidden, Float.NEGATIVE_INFINITY);
    Arrays.fill(scores, from + visible, from + BLOCK_TOKENS, Float.NEGATIVE_INFINITY);
    if (anyAbove(scores, from, maxima[query])) {
      final float max = max(scores, from);
      rescale(query, RowKernels.exp(maxima[query] - max));
      maxima[query] = max;
    }
    for (int lane = from; lane < from + BLOCK_TOKENS; lane += LENGTH) {
      RowKernels.exp(FloatVector.fromArray(FLOATS, scores, lane).sub(maxima[query]))
          .intoArray(scores, lane);
    }
    Arrays.fill(scores, from, from + hidden, 0);
    Arrays.fill(scores, from + visible, from + BLOCK_TOKENS, 0);
    for (int lane = from; lane < from + BLOCK_TOKENS; lane += LENGTH) {
      FloatVector.fromArray(FLOATS, sums, lane)
          .add(FloatVector.fromArray(FLOATS, scores, lane))
          .intoArray(sums, lane);
    }
  }

  /**
   * The maximum seldom rises after the first blocks, and a comparison is cheaper than finding it.
   */
  private static boolean anyAbove(float[] scores, int from, float max) {
    boolean above = false;
    for (int lane = 0; lane < BLOCK_TOKENS; lane += LENGTH) {
      above |=
          FloatVector.fromArray(FLOATS, scores, from + lane)
              .compare(VectorOperators.GT, max)
              .anyTrue();
    }
    return above;
  }

  private static float max(final float[] scores, final int from) {
    FloatVector max = FloatVector.fromArray(FLOATS, scores, from);
    for (int lane = LENGTH; lane < BLOCK_TOKENS; lane += LENGTH) {
      max = max.max(FloatVector.fromArray(FLOATS, scores, from + lane));
    }
    return max.reduceLanes(VectorOperators.MAX); // unlike a sum, the same in any order
  }

  private void rescale(final int query, final float factor) {
    for (int lane = 0; lane < BLOCK_TOKENS; lane++) {
      sums[query * BLOCK_TOKENS + lane] *= factor;
    }
    for (int d = 0; d < paddedDim; d++) {
      outputs[query * paddedDim + d] *= factor;
    }
  }

  /**
   * Scores of one query against a block's keys: one chain over the dimensions for each position.
   */
  static void score(MemorySegment data, long keys, float[] queries, int dims, float[] scores) {
    for (int lane = 0; lane < BLOCK_TOKENS; lane += LENGTH) {
      FloatVector a = FloatVector.zero(FLOATS);
      for (int d = 0; d < dims; d++) {
        final FloatVector key =
            FloatVector.fromMemorySegment(FLOATS, data, keys + (long) d * ROW + lane * 4L, ORDER);
        a = FloatVector.broadcast(FLOATS, queries[d]).fma(key, a);
      }
      a.intoArray(scores, lane);
    }
  }

  static void score4(
      MemorySegment data, long keys, float[] queries, int stride, int dims, float[] scores) {
    for (int lane = 0; lane < BLOCK_TOKENS; lane += LENGTH) {
      FloatVector a = FloatVector.zero(FLOATS);
      FloatVector b = FloatVector.zero(FLOATS);
      FloatVector c = FloatVector.zero(FLOATS);
      FloatVector e = FloatVector.zero(FLOATS);
      for (int d = 0; d < dims; d++) {
        final FloatVector key =
            FloatVector.fromMemorySegment(FLOATS, data, keys + (long) d * ROW + lane * 4L, ORDER);
        a = FloatVector.broadcast(FLOATS, queries[d]).fma(key, a);
        b = FloatVector.broadcast(FLOATS, queries[stride + d]).fma(key, b);
        c = FloatVector.broadcast(FLOATS, queries[2 * stride + d]).fma(key, c);
        e = FloatVector.broadcast(FLOATS, queries[3 * stride + d]).fma(key, e);
      }
      a.intoArray(scores, lane);
      b.intoArray(scores, BLOCK_TOKENS + lane);
      c.intoArray(scores, 2 * BLOCK_TOKENS + lane);
      e.intoArray(scores, 3 * BLOCK_TOKENS + lane);
    }
  }

  /** Adds a block's visible values to one query's output, in order of position. */
  static void weigh(
      MemorySegment data,
      long values,
      float[] weights,
      int weight,
      int hidden,
      int visible,
      float[] outputs,
      int output,
      int paddedDim) {
    for (int d = 0; d < paddedDim; d += LENGTH) {
      FloatVector a = FloatVector.fromArray(FLOATS, outputs, output + d);
      for (int t = hidden; t < visible; t++) {
        final long at = values + 4L * (t * paddedDim + d);
        final FloatVector value = FloatVector.fromMemorySegment(FLOATS, data, at, ORDER);
        a = FloatVector.broadcast(FLOATS, weights[weight + t]).fma(value, a);
      }
      a.intoArray(outputs, output + d);
    }
  }

  static void weigh4(
      MemorySegment data, long values, float[] weights, float[] outputs, int paddedDim) {
    for (int d = 0; d < paddedDim; d += LENGTH) {
      FloatVector a = FloatVector.fromArray(FLOATS, outputs, d);
      FloatVector b = FloatVector.fromArray(FLOATS, outputs, paddedDim + d);
      FloatVector c = FloatVector.fromArray(FLOATS, outputs, 2 * paddedDim + d);
      FloatVector e = FloatVector.fromArray(FLOATS, outputs, 3 * paddedDim + d);
      for (int t = 0; t < BLOCK_TOKENS; t++) {
        final long at = values + 4L * (t * paddedDim + d);
        final FloatVector value = FloatVector.fromMemorySegment(FLOATS, data, at, ORDER);
        a = FloatVector.broadcast(FLOATS, weights[t]).fma(value, a);
        b = FloatVector.broadcast(FLOATS, weights[BLOCK_TOKENS + t]).fma(value, b);
        c = FloatVector.broadcast(FLOATS, weights[2 * BLOCK_TOKENS + t]).fma(value, c);
        e = FloatVector.broadcast(FLOATS, weights[3 * BLOCK_TOKENS + t]).fma(value, e);
      }
      a.intoArray(outputs, d);
      b.intoArray(outputs, paddedDim + d);
      c.intoArray(outputs, 2 * paddedDim + d);
      e.intoArray(outputs, 3 * paddedDim + d);
    }
  }
}
