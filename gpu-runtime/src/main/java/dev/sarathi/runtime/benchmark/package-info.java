/**
 * Measures an engine on this machine: prefill, decode and a served load, with a model at hand or
 * one of random weights.
 */
package dev.sarathi.runtime.benchmark;
