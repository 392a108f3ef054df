package dev.sarathi.streams;

import dev.sarathi.runtime.FinishReason;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;

/**
 * How far the requests of a job are that one task has seen.
 *
 * @param job its name
 * @param partition the task's
 * @param waiting requests that were not begun yet
 * @param running requests that were begun and have not ended
 * @param ended how many ended for which reason
 * @param promptTokens of the requests that were answered, in whole or in part
 * @param completionTokens generated so far
 * @param started when the first request came; absent if none has
 * @param finished when the last request ended, if none is waiting or running
 * @param cancelRequested whether the job was cancelled
 */
public record JobProgress(
    String job,
    int partition,
    long waiting,
    long running,
    Map<FinishReason, Long> ended,
    long promptTokens,
    long completionTokens,
    Optional<Instant> started,
    Optional<Instant> finished,
    boolean cancelRequested) {

  /** Copies the counts. */
  public JobProgress {
    ended = Map.copyOf(ended);
  }
}
