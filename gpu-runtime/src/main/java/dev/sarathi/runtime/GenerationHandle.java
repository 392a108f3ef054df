package dev.sarathi.runtime;

/** A generation under way. Both methods may be called from any thread, and more than once. */
public interface GenerationHandle {

  /** Ends it with {@link FinishReason#CANCELLED}, unless it has ended before. */
  void cancel();

  /** Ends it without a word: its listener hears nothing more, or at most one delta under way. */
  void abandon();
}
