package dev.sarathi.streams;

import java.time.Instant;
import java.util.Optional;
import org.apache.kafka.common.header.Headers;

/**
 * The record that a request came in.
 *
 * @param <K> its key
 * @param <V> its value
 * @param key its key, restored by the carrying serde; absent if it had none
 * @param value its value, restored by the carrying serde; absent if values are not carried
 * @param headers its headers
 * @param timestamp its timestamp
 * @param topic the topic that it was read from
 * @param partition its partition there
 * @param offset its offset there
 */
public record Origin<K, V>(
    Optional<K> key,
    Optional<V> value,
    Headers headers,
    Instant timestamp,
    String topic,
    int partition,
    long offset) {

  /**
   * The header of a record that was put back from the dead letters, with its place there as {@code
   * topic-partition-offset}. Its id may be one that has ended in {@code ERROR}: it is then
   * generated once more, and ends once more.
   */
  public static final String REQUEUED_FROM_HEADER = "sarathi.requeued.from";

  /** {@return whether the record was put back from the dead letters} */
  public boolean isRequeued() {
    return headers.lastHeader(REQUEUED_FROM_HEADER) != null;
  }
}
