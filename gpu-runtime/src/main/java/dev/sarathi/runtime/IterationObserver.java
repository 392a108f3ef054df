package dev.sarathi.runtime;

/** Looks on at an engine's work, for instance to draw it. */
public interface IterationObserver {

  /**
   * A batch is done, and its tokens have been handed to their listeners. Called on the engine
   * thread, which waits meanwhile; an observer that throws is dropped.
   */
  void onIteration(Iteration iteration);
}
