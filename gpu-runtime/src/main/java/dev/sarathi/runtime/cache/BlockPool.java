package dev.sarathi.runtime.cache;

import java.util.OptionalLong;

/**
 * Accounts for the KV blocks of an executor. A block is unused, or held by one or more sequences,
 * or cached: nobody holds it, but its content can still be found, until the block is needed for
 * something else. Holds no tensors.
 *
 * <p>Threading: confined to the engine thread.
 */
public final class BlockPool {
  private static final long COMMON_ROOT = 0;

  private final int blockTokens;
  private final boolean keepsPrefixes;
  private final int[] references;
  private final int[] unusedStack;
  private final PrefixCache prefixes;
  private int unused;
  private long lookups;
  private long lookedUpTokens;
  private long cachedTokens;

  /**
   * What a pool holds, and what its prefix cache has been good for since the start.
   *
   * @param total how many blocks there are
   * @param used blocks that sequences hold
   * @param cached blocks that nobody holds and that can be found
   * @param lookups admissions that looked for a cached prefix
   * @param lookedUpTokens positions that these asked for
   * @param cachedTokens positions that these took from the cache
   * @param evictions cached blocks that were taken for something else
   */
  public record Load(
      int total,
      int used,
      int cached,
      long lookups,
      long lookedUpTokens,
      long cachedTokens,
      long evictions) {}

  /** A pool whose blocks are forgotten when their last sequence lets go of them. */
  public BlockPool(final int blocks, final int blockTokens) {
    this(blocks, blockTokens, false);
  }

  /**
   * @param blocks how many blocks there are
   * @param blockTokens positions in one block
   * @param keepsPrefixes whether any sequence finds what any other has computed, also after that is
   *     gone; otherwise only the sequences of one group find each other's blocks, while held
   */
  public BlockPool(final int blocks, final int blockTokens, final boolean keepsPrefixes) {
    if (blocks < 1 || blockTokens < 1) {
      throw new IllegalArgumentException(
          "a KV pool of " + blocks + " blocks of " + blockTokens + " tokens holds nothing");
    }
    this.blockTokens = blockTokens;
    this.keepsPrefixes = keepsPrefixes;
    this.references = new int[blocks];
    this.unusedStack = new int[blocks];
    this.prefixes = new PrefixCache(blocks, blockTokens);
    for (int i = 0; i < blocks; i++) {
      unusedStack[i] = blocks - 1 - i;
    }
    this.unused = blocks;
  }

  /** How many blocks there are. */
  public int size() {
    return references.length;
  }

  /** How many blocks can be taken; the cached ones are among them. */
  public int free() {
    return unused + prefixes.idle();
  }

  /** How many blocks hold {@code tokens} positions. */
  public int blocksFor(final int tokens) {
    return Math.ceilDiv(tokens, blockTokens);
  }

  /** Positions in one block. */
  public int blockTokens() {
    return blockTokens;
  }

  /** How many sequences hold a block. */
  public int references(final int block) {
    return references[block];
  }

  public Load load() {
    return new Load(
        size(),
        size() - free(),
        prefixes.idle(),
        lookups,
        lookedUpTokens,
        cachedTokens,
        prefixes.evictions());
  }

  /**
   * The blocks that hold the longest known beginning of a sequence, in order. Its last token is
   * left out: that is computed always, for its logits.
   *
   * @param group the sequences with which it shares, where not all share with all
   * @param length how many of {@code tokens} there are
   */
  public int[] find(final OptionalLong group, final int[] tokens, final int length) {
    final OptionalLong root = root(group);
    return root.isEmpty()
        ? new int[0]
        : prefixes.find(root.getAsLong(), tokens, (length - 1) / blockTokens);
  }

  /** Where the chains begin that the sequences of a group find; absent where they find none. */
  OptionalLong root(final OptionalLong group) {
    return keepsPrefixes ? OptionalLong.of(COMMON_ROOT) : group;
  }

  int take() {
    if (free() == 0) {
      throw new IllegalStateException("all " + size() + " KV blocks are taken");
    }
    final int block = unused > 0 ? unusedStack[--unused] : prefixes.evict();
    references[block] = 1;
    return block;
  }

  /**
   * Takes blocks that were found, for one more sequence.
   *
   * @param tokens how many positions the sequence had asked for
   */
  void share(final int[] found, final int tokens) {
    for (final int block : found) {
      share(block);
    }
    lookups++;
    lookedUpTokens += tokens;
    cachedTokens += (long) found.length * blockTokens;
  }

  private void share(final int block) {
    if (!prefixes.isPublished(block)) {
      throw new IllegalStateException("KV block " + block + " is shared, but its content unknown");
    }
    if (references[block]++ == 0) {
      prefixes.revive(block);
    }
  }

  /**
   * Makes a computed block findable.
   *
   * @param parent the block before it in its sequence, itself published; -1 for the first
   * @param from the index of its first token
   * @return the block that holds this content: another one, now held in its stead, where two
   *     sequences have computed the same
   */
  int publish(
      final long root, final int parent, final int block, final int[] tokens, final int from) {
    requireHeld(block);
    final int holder = prefixes.publish(root, parent, block, tokens, from);
    if (holder != block) {
      share(holder);
      release(block);
    }
    return holder;
  }

  void release(final int block) {
    requireHeld(block);
    if (--references[block] > 0) {
      return;
    }
    if (keepsPrefixes && prefixes.isPublished(block)) {
      prefixes.retire(block);
    } else {
      prefixes.forget(block);
      unusedStack[unused++] = block;
    }
  }

  private void requireHeld(final int block) {
    if (references[block] == 0) {
      throw new IllegalStateException(
          "KV block " + block + " is used or released, but no sequence holds it");
    }
  }
}
