/**
 * The executor for processors: kernels over the Vector API whose results are the same, bit for bit,
 * for every batch, thread count and vector width.
 */
package dev.sarathi.runtime.execute.cpu;
