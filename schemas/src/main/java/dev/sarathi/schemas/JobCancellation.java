package dev.sarathi.schemas;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;

/**
 * The record that cancels a job: the job's id for a key, no value, and a header that tells it from
 * the cancellation of one request. Each partition of the prompts has requests of the job, so each
 * gets the record.
 */
public final class JobCancellation {

  /** {@code sarathi.cancel}: the header's name. */
  public static final String HEADER = "sarathi.cancel";

  private static final byte[] JOB = "job".getBytes(StandardCharsets.UTF_8);

  private JobCancellation() {}

  /**
   * The record for one partition; a job is cancelled by one in each.
   *
   * @param prompts the topic
   * @param partition which of its partitions
   * @param job whose requests are to end
   * @param <V> what the producer takes; the value is null
   * @return the record
   */
  public static <V> ProducerRecord<String, V> of(
      final String prompts, final int partition, final String job) {
    final ProducerRecord<String, V> record = new ProducerRecord<>(prompts, partition, job, null);
    record.headers().add(HEADER, JOB);
    return record;
  }

  /**
   * Reads such a record.
   *
   * @param key of a record without a value; may be null
   * @param headers of that record
   * @return the job that it cancels, if it cancels one
   */
  public static Optional<String> jobOf(final byte[] key, final Headers headers) {
    final Header header = headers.lastHeader(HEADER);
    return header != null && Arrays.equals(header.value(), JOB) && key != null
        ? Optional.of(new String(key, StandardCharsets.UTF_8))
        : Optional.empty();
  }
}
