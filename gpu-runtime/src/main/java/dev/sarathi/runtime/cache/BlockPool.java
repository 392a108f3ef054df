package dev.sarathi.runtime.cache;

import java.util.BitSet;

/**
 * Accounts for the KV blocks of an executor: which are free, which are taken. Holds no tensors.
 *
 * <p>Threading: confined to the engine thread.
 */
public final class BlockPool {
  private final int blockTokens;
  private final int[] freeStack;
  private final BitSet taken;
  private int free;

  /**
   * @param blocks how many blocks there are
   * @param blockTokens positions in one block
   */
  public BlockPool(final int blocks, final int blockTokens) {
    if (blocks < 1 || blockTokens < 1) {
      throw new IllegalArgumentException(
          "a KV pool of " + blocks + " blocks of " + blockTokens + " tokens holds nothing");
    }
    this.blockTokens = blockTokens;
    this.freeStack = new int[blocks];
    this.taken = new BitSet(blocks);
    for (int i = 0; i < blocks; i++) {
      freeStack[i] = blocks - 1 - i;
    }
    this.free = blocks;
  }

  /** How many blocks there are. */
  public int size() {
    return freeStack.length;
  }

  /** How many blocks are free. */
  public int free() {
    return free;
  }

  /** How many blocks hold {@code tokens} positions. */
  public int blocksFor(final int tokens) {
    return Math.ceilDiv(tokens, blockTokens);
  }

  /** Positions in one block. */
  public int blockTokens() {
    return blockTokens;
  }

  int take() {
    if (free == 0) {
      throw new IllegalStateException("all " + size() + " KV blocks are taken");
    }
    final int block = freeStack[--free];
    taken.set(block);
    return block;
  }

  void release(final int block) {
    if (!taken.get(block)) {
      throw new IllegalStateException("KV block " + block + " was released twice");
    }
    taken.clear(block);
    freeStack[free++] = block;
  }
}
