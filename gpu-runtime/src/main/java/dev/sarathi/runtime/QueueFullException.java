package dev.sarathi.runtime;

/** A generation was refused because too many wait already; nothing of it was started. */
public final class QueueFullException extends RuntimeException {
  /**
   * Reports how many wait.
   *
   * @param waiting generations that wait
   * @param limit how many may
   */
  public QueueFullException(final int waiting, final int limit) {
    super(
        "%d generations are waiting, and no more than %d may; submit again when some have started,"
                .formatted(waiting, limit)
            + " or start the engine with a larger max waiting");
  }
}
