package dev.sarathi.streams;

/** What becomes of a half-done generation when it is resumed on another model. */
public enum ModelChange {
  /** It ends in an error. */
  FAIL,
  /** Its emitted tokens stand, and the new model goes on from them. */
  CONTINUE
}
