/** Accounting of the KV cache by blocks; no tensors. */
package dev.sarathi.runtime.cache;
