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
 * group, or neighbouring positions, or both. The native kernel computes the same bits, sooner.
 *
 * <p>Threading: holds the scratch memory of one worker.
 */
final class Attention {
  /**
   * Queries that walk together: enough independent chains to hide the latency of a sum, and as many
   * as share a KV head in most models, so that a block is read once for all of them.
   */
  static final int QUERIES = 8;

  /**
   * Queries and blocks (or vectors of an output) of one kernel: eight sums, for which six vectors
   * are loaded at a time. With eight queries and one block it would be nine, and loads the limit.
   */
  private static final int TOGETHER = 4;

  /** The widest head for which the native kernel has room. */
  static final int NATIVE_DIMENSIONS = 256;

  private static final ByteOrder ORDER = ByteOrder.nativeOrder();
  private static final int ROW = Float.BYTES * BLOCK_TOKENS;
  private static final int VECTOR = Float.BYTES * LENGTH;

  private final int headDim;
  private final int paddedDim;
  private final int kvHeads;
  private final int group;
  private final float scale;
  private final boolean compiled;

  // As the native kernel is given them; kept, so that not every call has to make them anew.
  private int[] lastBlocks = {};
  private float[] lastX = {};
  private float[] lastY = {};
  private MemorySegment blocksSegment = MemorySegment.NULL;
  private MemorySegment xSegment = MemorySegment.NULL;
  private MemorySegment ySegment = MemorySegment.NULL;

  // One row for each query.
  private final float[] queries;
  private final float[] outputs;
  private final float[] scores = new float[2 * QUERIES * BLOCK_TOKENS]; // of two blocks
  private final float[] sums = new float[QUERIES * BLOCK_TOKENS];
  private final float[] maxima = new float[QUERIES];
  private final int[] ends = new int[QUERIES]; // the first position that a query does not see

  Attention(final ModelConfig config, final KernelSet kernels) {
    headDim = config.headDim();
    paddedDim = KvCache.paddedDim(config);
    kvHeads = config.kvHeads();
    group = config.heads() / config.kvHeads();
    scale = (float) (1 / Math.sqrt(headDim));
    compiled = kernels == KernelSet.NATIVE && paddedDim <= NATIVE_DIMENSIONS;
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
    if (compiled) {
      keep(blocks, x, y);
      NativeKernels.attend(
          cache.data.address() + cache.keys(layer, 0, head),
          cache.blockStride(),
          blocksSegment,
          window,
          position,
          rows,
          group,
          headDim,
          scale,
          xSegment,
          (long) row * stride + queryHead(head, 0) * headDim,
          stride,
          ySegment,
          (long) row * width + queryHead(head, 0) * headDim,
          width);
      return;
    }
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

  private void keep(final int[] blocks, final float[] x, final float[] y) {
    if (lastBlocks != blocks) {
      lastBlocks = blocks;
      blocksSegment = MemorySegment.ofArray(blocks);
    }
    if (lastX != x) {
      lastX = x;
      xSegment = MemorySegment.ofArray(x);
    }
    if (lastY != y) {
      lastY = y;
      ySegment = MemorySegment.ofArray(y);
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
    for (int i = 0; i < count; i++) {
      ends[i] = position + (first + i) / group + 1;
    }
    final int begin = Math.max(0, ends[0] - window);
    final int last = (ends[count - 1] - 1) / BLOCK_TOKENS;
    for (int block = begin / BLOCK_TOKENS; block <= last; block += 2) {
      final int next = Math.min(block + 1, last);
      final long keys = cache.keys(layer, blocks[block], head);
      final long nextKeys = cache.keys(layer, blocks[next], head);
      if (first == 0) { // the queries after these find the blocks in the cache
        final int half = ROW * paddedDim;
        CacheLines.touch(cache.data, keys, keys + half, nextKeys, nextKeys + half, half);
      }
      for (int i = 0; i < count; i += TOGETHER) {
        score4(cache.data, keys, nextKeys, queries, i, paddedDim, headDim, scores);
      }
      for (int b = block; b <= next; b++) {
        final long values = cache.values(layer, blocks[b], head);
        add(cache.data, values, window, count, b * BLOCK_TOKENS, b - block);
      }
    }
  }

  /** Adds a block, whose scores are the first or the second, to all queries' outputs. */
  private void add(MemorySegment data, long values, int window, int count, int start, int half) {
    final int at = half * QUERIES * BLOCK_TOKENS;
    if (ends[0] >= start + BLOCK_TOKENS && ends[count - 1] - window <= start) {
      for (int i = 0; i < count; i++) {
        softmax(i, at + i * BLOCK_TOKENS, 0, BLOCK_TOKENS);
      }
      for (int i = 0; i < count; i += TOGETHER) {
        weigh4(data, values, i, at, 0, BLOCK_TOKENS);
      }
      return;
    }
    int common = 0;
    int commonEnd = BLOCK_TOKENS;
    for (int i = 0; i < count; i++) {
      final int from = hidden(i, window, start);
      final int to = visible(i, start);
      common = Math.max(common, from);
      commonEnd = Math.min(commonEnd, to);
      if (from < to) {
        softmax(i, at + i * BLOCK_TOKENS, from, to);
      }
    }
    // What only some of the queries see comes before and after what all of them do.
    final boolean together = common < commonEnd;
    for (int i = 0; i < count; i++) {
      final int to = visible(i, start);
      weigh(data, values, i, at, hidden(i, window, start), together ? common : to, 0);
    }
    if (together) {
      for (int i = 0; i < count; i += TOGETHER) {
        weigh4(data, values, i, at, common, commonEnd);
      }
      for (int i = 0; i < count; i++) {
        weigh(data, values, i, at, commonEnd, visible(i, start), 0);
      }
    }
  }

  /** How many positions of the block that begins at {@code start} a query may see. */
  private int visible(final int query, final int start) {
    return Math.clamp(ends[query] - start, 0, BLOCK_TOKENS);
  }

  /** How many positions of that block are behind a query's window. */
  private int hidden(final int query, final int window, final int start) {
    return Math.clamp((long) ends[query] - window - start, 0, BLOCK_TOKENS);
  }

  /** Turns a block's scores into weights relative to the running maximum. */
  private void softmax(final int query, final int from, final int hidden, final int visible) {
    final boolean whole = hidden == 0 && visible == BLOCK_TOKENS;
    if (!whole) {
      cover(from, hidden, visible, Float.NEGATIVE_INFINITY);
    }
    if (anyAbove(scores, from, maxima[query])) {
      final float max = max(scores, from);
      rescale(query, RowKernels.exp(maxima[query] - max));
      maxima[query] = max;
    }
    final float max = maxima[query];
    for (int lane = 0; lane < BLOCK_TOKENS; lane += LENGTH) {
      RowKernels.exp(FloatVector.fromArray(FLOATS, scores, from + lane).sub(max))
          .intoArray(scores, from + lane);
    }
    if (!whole) {
      cover(from, hidden, visible, 0);
    }
    final int sum = query * BLOCK_TOKENS;
    for (int lane = 0; lane < BLOCK_TOKENS; lane += LENGTH) {
      FloatVector.fromArray(FLOATS, sums, sum + lane)
          .add(FloatVector.fromArray(FLOATS, scores, from + lane))
          .intoArray(sums, sum + lane);
    }
  }

  private void cover(final int from, final int hidden, final int visible, final float value) {
    Arrays.fill(scores, from, from + hidden, value);
    Arrays.fill(scores, from + visible, from + BLOCK_TOKENS, value);
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
    scale(sums, query * BLOCK_TOKENS, BLOCK_TOKENS, factor);
    scale(outputs, query * paddedDim, paddedDim, factor);
  }

  /** The length is that of whole vectors. */
  private static void scale(float[] values, int from, int length, float factor) {
    for (int i = from; i < from + length; i += LENGTH) {
      FloatVector.fromArray(FLOATS, values, i).mul(factor).intoArray(values, i);
    }
  }

  /**
   * Scores of four queries against two blocks' keys: one chain over the dimensions for each
   * position. Those of the second block come {@link #QUERIES} rows later.
   */
  static void score4(
      MemorySegment data,
      long keys,
      long nextKeys,
      float[] queries,
      int query,
      int stride,
      int dims,
      float[] scores) {
    final int q0 = query * stride;
    final int q1 = q0 + stride;
    final int q2 = q1 + stride;
    final int q3 = q2 + stride;
    for (int lane = 0; lane < BLOCK_TOKENS; lane += LENGTH) {
      FloatVector a0 = FloatVector.zero(FLOATS);
      FloatVector b0 = FloatVector.zero(FLOATS);
      FloatVector a1 = FloatVector.zero(FLOATS);
      FloatVector b1 = FloatVector.zero(FLOATS);
      FloatVector a2 = FloatVector.zero(FLOATS);
      FloatVector b2 = FloatVector.zero(FLOATS);
      FloatVector a3 = FloatVector.zero(FLOATS);
      FloatVector b3 = FloatVector.zero(FLOATS);
      for (int d = 0; d < dims; d++) {
        final long at = (long) d * ROW + lane * 4L;
        final FloatVector a = FloatVector.fromMemorySegment(FLOATS, data, keys + at, ORDER);
        final FloatVector b = FloatVector.fromMemorySegment(FLOATS, data, nextKeys + at, ORDER);
        final FloatVector v0 = FloatVector.broadcast(FLOATS, queries[q0 + d]);
        a0 = v0.fma(a, a0);
        b0 = v0.fma(b, b0);
        final FloatVector v1 = FloatVector.broadcast(FLOATS, queries[q1 + d]);
        a1 = v1.fma(a, a1);
        b1 = v1.fma(b, b1);
        final FloatVector v2 = FloatVector.broadcast(FLOATS, queries[q2 + d]);
        a2 = v2.fma(a, a2);
        b2 = v2.fma(b, b2);
        final FloatVector v3 = FloatVector.broadcast(FLOATS, queries[q3 + d]);
        a3 = v3.fma(a, a3);
        b3 = v3.fma(b, b3);
      }
      final int to = query * BLOCK_TOKENS + lane;
      final int next = to + QUERIES * BLOCK_TOKENS;
      a0.intoArray(scores, to);
      b0.intoArray(scores, next);
      a1.intoArray(scores, to + BLOCK_TOKENS);
      b1.intoArray(scores, next + BLOCK_TOKENS);
      a2.intoArray(scores, to + 2 * BLOCK_TOKENS);
      b2.intoArray(scores, next + 2 * BLOCK_TOKENS);
      a3.intoArray(scores, to + 3 * BLOCK_TOKENS);
      b3.intoArray(scores, next + 3 * BLOCK_TOKENS);
    }
  }

  /**
   * Adds some of a block's values to one query's output, in order of position.
   *
   * @param at of the block's scores
   * @param dimension the first; the others follow
   */
  private void weigh(
      final MemorySegment data,
      final long values,
      final int query,
      final int at,
      final int from,
      final int to,
      final int dimension) {
    for (int d = dimension; d < paddedDim && from < to; d += LENGTH) {
      FloatVector a = FloatVector.fromArray(FLOATS, outputs, query * paddedDim + d);
      for (int t = from; t < to; t++) {
        final long value = values + 4L * (t * paddedDim + d);
        a =
            FloatVector.broadcast(FLOATS, scores[at + query * BLOCK_TOKENS + t])
                .fma(FloatVector.fromMemorySegment(FLOATS, data, value, ORDER), a);
      }
      a.intoArray(outputs, query * paddedDim + d);
    }
  }

  /** As above for four queries, by two vectors of their outputs. */
  private void weigh4(
      final MemorySegment data,
      final long values,
      final int query,
      final int at,
      final int from,
      final int to) {
    int d = 0;
    for (; d + 2 * LENGTH <= paddedDim; d += 2 * LENGTH) {
      final int output = query * paddedDim + d;
      weigh4(
          data,
          values + 4L * d,
          4L * paddedDim,
          scores,
          at + query * BLOCK_TOKENS,
          from,
          to,
          outputs,
          output,
          paddedDim);
    }
    for (int i = 0; i < TOGETHER && d < paddedDim; i++) {
      weigh(data, values, query + i, at, from, to, d);
    }
  }

  private static void weigh4(
      MemorySegment data,
      long values,
      long row,
      float[] weights,
      int weight,
      int from,
      int to,
      float[] outputs,
      int output,
      int stride) {
    final int w1 = weight + BLOCK_TOKENS;
    final int w2 = w1 + BLOCK_TOKENS;
    final int w3 = w2 + BLOCK_TOKENS;
    final int o1 = output + stride;
    final int o2 = o1 + stride;
    final int o3 = o2 + stride;
    FloatVector a0 = FloatVector.fromArray(FLOATS, outputs, output);
    FloatVector b0 = FloatVector.fromArray(FLOATS, outputs, output + LENGTH);
    FloatVector a1 = FloatVector.fromArray(FLOATS, outputs, o1);
    FloatVector b1 = FloatVector.fromArray(FLOATS, outputs, o1 + LENGTH);
    FloatVector a2 = FloatVector.fromArray(FLOATS, outputs, o2);
    FloatVector b2 = FloatVector.fromArray(FLOATS, outputs, o2 + LENGTH);
    FloatVector a3 = FloatVector.fromArray(FLOATS, outputs, o3);
    FloatVector b3 = FloatVector.fromArray(FLOATS, outputs, o3 + LENGTH);
    for (int t = from; t < to; t++) {
      final long value = values + t * row;
      final FloatVector a = FloatVector.fromMemorySegment(FLOATS, data, value, ORDER);
      final FloatVector b = FloatVector.fromMemorySegment(FLOATS, data, value + VECTOR, ORDER);
      final FloatVector v0 = FloatVector.broadcast(FLOATS, weights[weight + t]);
      a0 = v0.fma(a, a0);
      b0 = v0.fma(b, b0);
      final FloatVector v1 = FloatVector.broadcast(FLOATS, weights[w1 + t]);
      a1 = v1.fma(a, a1);
      b1 = v1.fma(b, b1);
      final FloatVector v2 = FloatVector.broadcast(FLOATS, weights[w2 + t]);
      a2 = v2.fma(a, a2);
      b2 = v2.fma(b, b2);
      final FloatVector v3 = FloatVector.broadcast(FLOATS, weights[w3 + t]);
      a3 = v3.fma(a, a3);
      b3 = v3.fma(b, b3);
    }
    a0.intoArray(outputs, output);
    b0.intoArray(outputs, output + LENGTH);
    a1.intoArray(outputs, o1);
    b1.intoArray(outputs, o1 + LENGTH);
    a2.intoArray(outputs, o2);
    b2.intoArray(outputs, o2 + LENGTH);
    a3.intoArray(outputs, o3);
    b3.intoArray(outputs, o3 + LENGTH);
  }
}
