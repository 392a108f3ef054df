package dev.sarathi.runtime.execute.simulated;

import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Slice;

/**
 * What of a batch its time depends on.
 *
 * @param tokens of decodes and chunks together
 * @param decodes how many
 * @param decodeKvTokens the KV lengths of all decodes, each with its current token
 * @param chunks of prefill, how many
 * @param chunkSquares the sum of the squares of their lengths
 * @param chunkKvTokens the tokens before each, rounded up to 64
 */
record Work(
    int tokens,
    int decodes,
    long decodeKvTokens,
    int chunks,
    long chunkSquares,
    long chunkKvTokens) {
  static final int KV_STEP = 64;

  static Work of(final Batch batch) {
    int tokens = 0;
    int decodes = 0;
    long decodeKvTokens = 0;
    int chunks = 0;
    long squares = 0;
    long chunkKvTokens = 0;
    for (final Slice slice : batch.slices()) {
      tokens += slice.count();
      // A chunk of one token costs what a decode does.
      if (slice.count() == 1 && slice.start() > 0) {
        decodes++;
        decodeKvTokens += slice.end();
      } else {
        chunks++;
        squares += (long) slice.count() * slice.count();
        chunkKvTokens += roundUp(slice.start(), KV_STEP);
      }
    }
    return new Work(tokens, decodes, decodeKvTokens, chunks, squares, chunkKvTokens);
  }

  static int roundUp(final long tokens, final int step) {
    return Math.toIntExact(Math.ceilDiv(tokens, step) * step);
  }
}
