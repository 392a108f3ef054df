package dev.sarathi.runtime.schedule;

/**
 * Asks for the log-probabilities of a prompt's own tokens. The logits of a position tell of the
 * token after it.
 *
 * @param targets the tokens after the first positions of a slice, one for each; not modified after
 *     construction
 * @param top how many of the likeliest tokens are reported beside each
 */
public record PromptScoring(int[] targets, int top) {}
