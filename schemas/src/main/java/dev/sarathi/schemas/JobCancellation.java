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

  /** The record for one partition. */
  public static <V> ProducerRecord<String, V> of(
      final String prompts, final int partition, final String job) {
    final ProducerRecord<String, V> record = new ProducerRecord<>(prompts, partition, job, null);
    record.headers().add(HEADER, JOB);
    return record;
  }

  /** The job that a record without a value cancels, if it cancels one. */
  public static Optional<String> jobOf(final byte[] key, final Headers headers) {
    final Header header = headers.lastHeader(HEADER);
    return header != null && Arrays.equals(header.value(), JOB) && key != null
        ? Optional.of(new String(key, StandardCharsets.UTF_8))
        : Optional.empty();
  }
}
