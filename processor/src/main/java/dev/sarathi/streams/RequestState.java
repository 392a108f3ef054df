package dev.sarathi.streams;

import dev.sarathi.runtime.Priority;
import java.time.Instant;
import java.util.Optional;

/**
 * An unfinished request, as the stores have it.
 *
 * @param id its id
 * @param phase whether it has been taken up
 * @param tokens emitted and written down, over all choices
 * @param choices how many continuations it asks for
 * @param attempts how often it has been taken up
 * @param priority its class
 * @param tenant on whose behalf; empty for none
 * @param promptedAt the timestamp of its record
 * @param deadline when it is given up, if ever
 * @param topic of its record
 * @param partition of its record
 * @param offset of its record
 * @param key of its record
 * @param fingerprint of the model of its first tokens; absent before them
 */
public record RequestState(
    String id,
    Phase phase,
    int tokens,
    int choices,
    int attempts,
    Priority priority,
    String tenant,
    Instant promptedAt,
    Optional<Instant> deadline,
    String topic,
    int partition,
    long offset,
    Optional<byte[]> key,
    Optional<String> fingerprint) {

  /** Whether a request has been taken up. */
  public enum Phase {
    /** Never taken up. */
    WAITING,
    /** Handed to the engine, at least once; after a crash it may wait for its turn again. */
    RUNNING
  }
}
