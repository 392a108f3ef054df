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

  private final int blockTokens;
  private final Map<Content, Node> nodes = new HashMap<>();
  private final Node[] published;
  private final Node idle = new Node(new Content(0, NO_PARENT, new int[0]), NO_PARENT, -1);
  private int idleCount;
  private long nextId;
  private long evictions;

  /**
   * @param parent the id of the parent's node; an id is never used again
   */
  private record Content(long root, long parent, int[] tokens) {
    @Override
    public boolean equals(final Object other) {
      return other instanceof Content that
          && root == that.root
          && parent == that.parent
          && Arrays.equals(tokens, that.tokens);
    }

    @Override
    public int hashCode() {
      return 31 * (31 * Long.hashCode(root) + Long.hashCode(parent)) + Arrays.hashCode(tokens);
    }
  }

  /** A published block; while nobody holds it, linked between those idle for longer and shorter. */
  private static final class Node {
    private final Content content;
    private final long id;
    private final int block;
    private Node older = this;
    private Node newer = this;

    private Node(final Content content, final long id, final int block) {
      this.content = content;
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
      final Node node = nodes.get(content(root, parent, tokens, i * blockTokens));
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
    final Node node = new Node(content(root, parentId, tokens, from), nextId++, block);
    final Node known = nodes.putIfAbsent(node.content, node);
    if (known != null) {
      return known.block;
    }
    published[block] = node;
    return block;
  }

  private Content content(final long root, final long parent, final int[] tokens, final int from) {
    return new Content(root, parent, Arrays.copyOfRange(tokens, from, from + blockTokens));
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
      nodes.remove(published[block].content);
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
