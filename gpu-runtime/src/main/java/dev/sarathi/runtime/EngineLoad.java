package dev.sarathi.runtime;

/**
 * What an engine holds, and what it has done since its start.
 *
 * @param waiting sequences not admitted yet, or preempted
 * @param running sequences that hold KV blocks
 * @param usedBlocks KV blocks that sequences hold
 * @param cachedBlocks KV blocks that nobody holds and that can be found
 * @param totalBlocks how many KV blocks there are
 * @param preemptions how often a sequence lost its blocks to an older one
 * @param lookedUpTokens positions for which a cached prefix was looked for
 * @param cachedTokens positions taken from the prefix cache
 */
public record EngineLoad(
    int waiting,
    int running,
    int usedBlocks,
    int cachedBlocks,
    int totalBlocks,
    long preemptions,
    long lookedUpTokens,
    long cachedTokens) {

  /** {@return the KV blocks that nobody holds} */
  public int freeBlocks() {
    return totalBlocks - usedBlocks;
  }
}
