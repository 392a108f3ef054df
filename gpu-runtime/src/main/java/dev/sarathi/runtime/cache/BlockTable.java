package dev.sarathi.runtime.cache;

import java.util.Arrays;
import java.util.OptionalLong;

/**
 * The KV blocks of one sequence, in the order of its positions. The first ones may be shared with
 * other sequences: those are full and computed, so nobody writes to them.
 *
 * <p>Threading: confined to the engine thread, but for the arrays that {@link #blocks} gave out.
 */
public final class BlockTable {
  private final BlockPool pool;
  private final OptionalLong root;
  private int[] blocks = new int[8];
  private int size;
  private int published;

  /**
   * @param group the sequences that find each other's blocks, where not all find all
   */
  public BlockTable(final BlockPool pool, final OptionalLong group) {
    this.pool = pool;
    this.root = pool.root(group);
  }

  /**
   * Begins with blocks that {@link BlockPool#find} has just found.
   *
   * @param tokens how many positions it had looked for
   */
  public void share(final int[] found, final int tokens) {
    if (size > 0) {
      throw new IllegalStateException("a table with " + size + " blocks cannot begin with others");
    }
    if (root.isPresent()) {
      pool.share(found, tokens);
    }
    blocks = Arrays.copyOf(found, Math.max(8, 2 * found.length));
    size = found.length;
    published = found.length;
  }

  /** How many further blocks positions 0 to {@code tokens} would take. */
  public int missing(final int tokens) {
    return tokens <= size * pool.blockTokens() ? 0 : pool.blocksFor(tokens) - size;
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

  /**
   * Makes the full blocks below position {@code computed} findable. Where another sequence has
   * published the same, its block takes the place of this table's own, which holds the same bits.
   *
   * @param tokens the sequence's token ids, at least {@code computed} of them
   */
  public void publish(final int[] tokens, final int computed) {
    if (root.isEmpty()) {
      return;
    }
    boolean copied = false;
    while ((published + 1) * pool.blockTokens() <= computed) {
      final int parent = published == 0 ? -1 : blocks[published - 1];
      final int from = published * pool.blockTokens();
      final int block = pool.publish(root.getAsLong(), parent, blocks[published], tokens, from);
      if (block != blocks[published]) {
        if (!copied) {
          // Batches in flight still read the array, and the block that was there.
          blocks = blocks.clone();
          copied = true;
        }
        blocks[published] = block;
      }
      published++;
    }
  }

  /** Lets go of every block, the last first: a chain is evicted from its end. */
  public void release() {
    while (size > 0) {
      pool.release(blocks[--size]);
    }
    published = 0;
    blocks = new int[8];
  }

  /** How many blocks this table has. */
  public int size() {
    return size;
  }

  /**
   * The block numbers, in order, and perhaps some more elements. Not copied: the first {@link
   * #size()} elements of this array never change, whatever becomes of the table.
   */
  public int[] blocks() {
    return blocks;
  }
}
