package dev.sarathi.runtime.execute;

/**
 * What an executor can hold.
 *
 * @param kvBlocks how many KV blocks its cache has
 * @param blockTokens positions in one block
 * @param batchesInFlight how many batches it takes before the first of them is done
 * @param numericsId names everything that may change a bit of a result: kernel set and version,
 *     weight and KV data types, parallel degree
 */
public record Limits(int kvBlocks, int blockTokens, int batchesInFlight, String numericsId) {}
