package dev.sarathi.runtime.execute.cuda;

import dev.sarathi.runtime.model.ModelConfig;

/**
 * The heads of a model as the kernels see them.
 *
 * @param paddedDim {@code dim} rounded up to a size for which there is a kernel
 */
record Heads(int query, int keyValue, int dim, int paddedDim) {
  private static final double LOG2_E = 1.4426950408889634;
  private static final int SMALLEST = 16;

  /** Dimensions of the largest heads for which there is a kernel. */
  static final int LARGEST = 128;

  /**
   * @throws IllegalArgumentException if the heads are larger than {@link #LARGEST}
   */
  static Heads of(final ModelConfig config) {
    if (config.headDim() > LARGEST) {
      throw new IllegalArgumentException("heads of %d dimensions".formatted(config.headDim()));
    }
    int padded = SMALLEST;
    while (padded < config.headDim()) {
      padded *= 2;
    }
    return new Heads(config.heads(), config.kvHeads(), config.headDim(), padded);
  }

  /** Query heads that share a key and value head. */
  int group() {
    return query / keyValue;
  }

  /** Of the scores, in powers of two. */
  float scale() {
    return (float) (LOG2_E / Math.sqrt(dim));
  }

  /** Keys and values of one layer's block. */
  long blockBytes() {
    return 2L * 2 * keyValue * paddedDim * BatchPlan.BLOCK_TOKENS;
  }

  /** What one span of an item's 16 queries leaves, over all key and value heads. */
  long partialBytes() {
    return 4L * keyValue * BatchPlan.FEW_QUERIES * (paddedDim + 2);
  }
}
