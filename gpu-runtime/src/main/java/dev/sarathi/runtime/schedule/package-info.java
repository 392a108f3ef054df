/**
 * Which tokens are computed in which iteration: sequences, batches and the policies. Pure: no
 * clock, no I/O, no threads.
 */
package dev.sarathi.runtime.schedule;
