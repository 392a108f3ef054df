package dev.sarathi.runtime;

/** Why a generation ended. */
public enum FinishReason {
  /** The model said that it is done, a stop string appeared, or a constrained text is complete. */
  STOP,
  /** The request's maximum of tokens, or the model's context, was reached. */
  LENGTH,
  /** Somebody asked for it. */
  CANCELLED,
  /** The request's deadline passed. */
  DEADLINE,
  /** The request cannot be served; the finish carries a message. */
  ERROR
}
