package dev.sarathi.runtime.schedule;

/** What of one sequence may be in flight at once, when an executor takes several batches. */
public enum Overlap {
  /**
   * One batch: the next chunk or decode waits for the one before, as in Sarathi-Serve's own code.
   */
  NONE,
  /**
   * Chunks of one prompt follow each other through the stages of a pipeline, where each stage finds
   * the KV that it needs; a decode waits for the token before it. Prompts of which no chunk is in
   * flight go first.
   */
  CHUNKS,
  /**
   * Decodes too: the executor itself passes a token on to the next batch. In a pipeline that would
   * stop the first stage until the last is done.
   */
  ALL
}
