package dev.sarathi.runtime.cache;

import java.util.Arrays;

/**
 * The KV blocks of one sequence, in the order of its positions.
 *
 * <p>Threading: confined to the engine thread.
 */
public final class BlockTable {
  private final BlockPool pool;
  private int[] blocks = new int[8];
  private int size;

  public BlockTable(final BlockPool pool) {
    this.pool = pool;
  }

  /** How many further blocks positions 0 to {@code tokens} would take. */
  public int missing(final int tokens) {
    return Math.max(0, pool.blocksFor(tokens) - size);
  }

  /** The most positions this table could hold if it took every free block. */
  public int reach() {
    return (size + pool.free()) * pool.blockTokens();
  }

  /**
   * Takes blocks until positions 0 to {@code tokens} have one.
   *
   * @throws IllegalStateException if the pool runs out; ask {@link #missing} first
   */
  public void grow(final int tokens) {
    for (int n = missing(tokens); n > 0; n--) {
      if (size == blocks.length) {
        blocks = Arrays.copyOf(blocks, 2 * size);
      }
      blocks[size++] = pool.take();
    }
  }

  /** Gives every block back. */
  public void release() {
    while (size > 0) {
      pool.release(blocks[--size]);
    }
  }

  /** How many blocks this table has. */
  public int size() {
    return size;
  }

  /** A copy of the block numbers, in order. */
  public int[] blocks() {
    return Arrays.copyOf(blocks, size);
  }
}
