package dev.sarathi.runtime.cache;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * Finds blocks by what they hold. A block's content depends on all tokens up to its last, so it is
 * known by its tokens and by its parent, the block before it. Entries are told apart by comparing
 * these, never by a hash alone: no collision can hand out a wrong block.
 *
 * <p>A sequence that holds a block holds its parents too, and lets go of the children first. So a
 * block that nobody holds lies before its parents in the order of eviction, and none is ever found
 * through a parent that is gone.
 */
final class PrefixCache {
  private static final long NO_PARENT = -1;
  private static final long NO_ID = -1;
  private static final int NO_BLOCK = -1;

  private final int blockTokens;
  private final Map<Node, Node> nodes = new HashMap<>();
  private final Node[] published;
  private final Node idle = new Node(0, NO_PARENT, new int[0], NO_ID, NO_BLOCK);
  private int idleCount;
  private long nextId;
  private long evictions;

  /**
   * A published block, found by what it holds; while nobody holds it, linked between those idle for
   * longer and shorter. Key and value in one, since there are thousands and they are not in a cache
   * when they are looked at.
   */
  private static final class Node {
    private final long root;
    private final long parent;
    private final int[] tokens;
    private final int hash;
    private final long id;
    private final int block;
    private Node older = this;
    private Node newer = this;

    /**
     * @param parent the id of the parent's node
     * @param id never used again
     */
    private Node(
        final long root, final long parent, final int[] tokens, final long id, final int block) {
      this.root = root;
      this.parent = parent;
      this.tokens = tokens;
      this.hash = 31 * (31 * Long.hashCode(root) + Long.hashCode(parent)) + Arrays.hashCode(tokens);
      this.id = id;
      this.block = block;
    }

    private void linkBefore(final Node next) {
      older = next.older;
      newer = next;
      older.newer = this;
      newer.older = this;
    }

    private void unlink() {
      older.newer = newer;
      newer.older = older;
      older = this;
      newer = this;
    }

    @Override
    public boolean equals(final Object other) {
      return other instanceof Node that
          && hash == that.hash
          && root == that.root
          && parent == that.parent
          && Arrays.equals(tokens, that.tokens);
    }

    @Override
    public int hashCode() {
      return hash;
    }
  }

  PrefixCache(final int blocks, final int blockTokens) {
    this.blockTokens = blockTokens;
    this.published = new Node[blocks];
  }

  /** The blocks of the longest known chain, at most {@code limit}. */
  int[] find(final long root, final int[] tokens, final int limit) {
    final int[] chain = new int[limit];
    long parent = NO_PARENT;
    for (int i = 0; i < limit; i++) {
      final Node node = nodes.get(node(root, parent, tokens, i * blockTokens, NO_ID, NO_BLOCK));
      if (node == null) {
        return Arrays.copyOf(chain, i);
      }
      chain[i] = node.block;
      parent = node.id;
    }
    return chain;
  }

  /** Enters a block, unless its content is known. Returns the block that holds the content. */
  int publish(
      final long root, final int parent, final int block, final int[] tokens, final int from) {
    final long parentId = parent < 0 ? NO_PARENT : published[parent].id;
    final Node node = node(root, parentId, tokens, from, nextId++, block);
    final Node known = nodes.putIfAbsent(node, node);
    if (known != null) {
      return known.block;
    }
    published[block] = node;
    return block;
  }

  private Node node(
      final long root,
      final long parent,
      final int[] tokens,
      final int from,
      final long id,
      final int block) {
    return new Node(root, parent, Arrays.copyOfRange(tokens, from, from + blockTokens), id, block);
  }

  boolean isPublished(final int block) {
    return published[block] != null;
  }

  /** Nobody holds this published block any more: it may be evicted, after those before it. */
  void retire(final int block) {
    published[block].linkBefore(idle);
    idleCount++;
  }

  /** Somebody holds this published block again. */
  void revive(final int block) {
    published[block].unlink();
    idleCount--;
  }

  /** Forgets the block that has been idle for longest, for another use. */
  int evict() {
    final int block = idle.newer.block;
    revive(block);
    forget(block);
    evictions++;
    return block;
  }

  void forget(final int block) {
    if (published[block] != null) {
      nodes.remove(published[block]);
      published[block] = null;
    }
  }

  /** How many published blocks nobody holds. */
  int idle() {
    return idleCount;
  }

  long evictions() {
    return evictions;
  }
}
