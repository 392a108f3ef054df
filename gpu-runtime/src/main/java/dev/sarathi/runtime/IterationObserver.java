package dev.sarathi.runtime;

import java.util.List;

/** Looks on at an engine's work, for instance to draw it. */
public interface IterationObserver {

  /**
   * A batch is done, and its tokens have been handed to their listeners. Called on the engine
   * thread, which waits meanwhile; an observer that throws is dropped.
   *
   * @param iteration the batch and what was around it
   */
  void onIteration(Iteration iteration);

  /**
   * Makes one of several.
   *
   * @param observers are told in this order
   * @return an observer that tells them all
   */
  static IterationObserver all(final List<? extends IterationObserver> observers) {
    final List<IterationObserver> all = List.copyOf(observers);
    return iteration -> all.forEach(observer -> observer.onIteration(iteration));
  }
}
