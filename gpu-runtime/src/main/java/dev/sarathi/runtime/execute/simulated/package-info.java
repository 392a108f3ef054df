/** An executor that computes nothing, and takes as long as measured GPUs would. */
package dev.sarathi.runtime.execute.simulated;
