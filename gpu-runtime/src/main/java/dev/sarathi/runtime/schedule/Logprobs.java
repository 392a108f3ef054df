package dev.sarathi.runtime.schedule;

/**
 * How likely the model itself holds a token to be at its place: the logarithm of the softmax of the
 * logits as they come, before bias, penalties and temperature.
 *
 * @param token the token that stands there
 * @param logprob its natural logarithm of probability
 * @param topTokens the likeliest tokens at that place, the likeliest first; ties by lowest id
 * @param topLogprobs theirs
 */
public record Logprobs(int token, float logprob, int[] topTokens, float[] topLogprobs) {}
