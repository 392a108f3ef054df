package dev.sarathi.runtime;

/**
 * What an earlier run emitted of one choice of a generation.
 *
 * @param tokens its tokens; not modified after construction
 * @param finished whether it had ended
 */
public record EmittedChoice(int[] tokens, boolean finished) {
  /** Nothing was emitted. */
  public static final EmittedChoice NOTHING = new EmittedChoice(new int[0], false);
}
