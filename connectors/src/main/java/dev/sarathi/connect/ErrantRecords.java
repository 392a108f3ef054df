package dev.sarathi.connect;

import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.sink.ErrantRecordReporter;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTaskContext;

/** Records that a sink cannot take. */
final class ErrantRecords {
  private ErrantRecords() {}

  /**
   * Gives it to the dead letters that the worker's {@code errors.*} settings ask for.
   *
   * @throws ConnectException without such settings: the task ends rather than lose the record
   */
  static void reject(
      final SinkTaskContext context, final SinkRecord record, final ConnectException reason) {
    final ErrantRecordReporter reporter = context.errantRecordReporter();
    if (reporter == null) {
      throw new ConnectException(
          "The record at %s-%d offset %d cannot be taken: %s"
              .formatted(
                  record.topic(),
                  record.kafkaPartition(),
                  record.kafkaOffset(),
                  reason.getMessage()),
          reason);
    }
    reporter.report(record, reason);
  }
}
