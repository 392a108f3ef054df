package dev.sarathi.connect;

import dev.sarathi.schemas.Completion;
import java.io.IOException;
import java.util.Collection;
import java.util.Map;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.errors.RetriableException;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTask;

/**
 * Writes completions into files and commits offsets after that.
 *
 * <p>Threading: all on the task's thread.
 */
public final class BatchFileSinkTask extends SinkTask {
  private Results results;
  private long flushNanos;
  private int flushBytes;
  private long lastFlush;

  @Override
  public void start(final Map<String, String> properties) {
    final BatchFileSinkConfig config = new BatchFileSinkConfig(properties);
    results =
        config.getString(BatchFileSinkConfig.OUTPUT_FORMAT).equals(BatchFileSinkConfig.BATCH)
            ? new BatchResults(config.outputDirectory())
            : new BareCompletions(config.outputDirectory());
    flushNanos = config.getLong(BatchFileSinkConfig.FLUSH_INTERVAL_MS) * 1_000_000;
    flushBytes = config.getInt(BatchFileSinkConfig.FLUSH_BYTES);
    lastFlush = System.nanoTime();
  }

  @Override
  public void put(final Collection<SinkRecord> records) {
    try {
      for (final SinkRecord record : records) {
        add(record);
      }
    } catch (final IOException e) {
      throw new RetriableException(e.toString(), e);
    }
    if (results.held() == 0) {
      return;
    }
    final long left = flushNanos - (System.nanoTime() - lastFlush);
    if (results.held() >= flushBytes || left <= 0) {
      context.requestCommit();
    } else {
      // Else the worker waits for further records until its own interval has passed: a minute.
      context.timeout(left / 1_000_000 + 1);
    }
  }

  private void add(final SinkRecord record) throws IOException {
    final Completion completion;
    try {
      completion = (Completion) ContractData.toAvro(Completion.getClassSchema(), record.value());
    } catch (final DataException e) {
      ErrantRecords.reject(context, record, e);
      return;
    }
    // As they are in the topic, whatever a transformation has made of them.
    final TopicPartition partition =
        new TopicPartition(record.originalTopic(), record.originalKafkaPartition());
    results.add(partition, record.originalKafkaOffset(), completion);
  }

  @Override
  public Map<TopicPartition, OffsetAndMetadata> preCommit(
      final Map<TopicPartition, OffsetAndMetadata> offsets) {
    try {
      results.flush();
    } catch (final IOException e) {
      throw new RetriableException(e.toString(), e);
    }
    lastFlush = System.nanoTime();
    return offsets;
  }

  @Override
  public void close(final Collection<TopicPartition> partitions) {
    results.forget(partitions);
  }

  @Override
  public void stop() {}

  @Override
  public String version() {
    return PluginVersion.VALUE;
  }
}
