/** Whether a GPU computes what it should, and how fast it is. */
package dev.sarathi.runtime.benchmark.gpu;
