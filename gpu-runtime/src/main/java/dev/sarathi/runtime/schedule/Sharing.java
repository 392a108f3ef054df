package dev.sarathi.runtime.schedule;

import java.util.OptionalLong;

/**
 * With whom a sequence shares the KV blocks of a common beginning.
 *
 * @param group the sequences that find each other's blocks while one of them holds them, for
 *     instance the samples of one prompt; of no account in a pool that keeps prefixes for everybody
 * @param readsCache whether it takes blocks that others have computed; without, it computes every
 *     position, and others may still take its blocks
 */
public record Sharing(OptionalLong group, boolean readsCache) {
  /** Takes what the pool keeps for everybody. */
  public static final Sharing DEFAULT = new Sharing(OptionalLong.empty(), true);

  /** The same, in a group. */
  public Sharing withGroup(final long value) {
    return new Sharing(OptionalLong.of(value), readsCache);
  }

  /** The same, but every position is computed. */
  public Sharing withoutReading() {
    return new Sharing(group, false);
  }
}
