/** Runs models on an NVIDIA GPU, through its driver alone. */
package dev.sarathi.runtime.execute.cuda;
