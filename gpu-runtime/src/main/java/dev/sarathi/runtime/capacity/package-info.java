/**
 * How much load a deployment bears under a policy: the engine's own schedulers over the simulated
 * executor, driven by a workload in virtual time.
 */
package dev.sarathi.runtime.capacity;
