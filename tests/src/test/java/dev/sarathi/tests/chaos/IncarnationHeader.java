package dev.sarathi.tests.chaos;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.producer.ProducerInterceptor;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;

/**
 * Says in a header of each record which producer of which process sent it: determinism would
 * otherwise make a stale or aborted token look like the one that took its place. Streams makes a
 * new producer whenever a thread has lost its tasks.
 */
public final class IncarnationHeader implements ProducerInterceptor<byte[], byte[]> {
  static final String NAME = "incarnation";

  private static final AtomicInteger PRODUCERS = new AtomicInteger();

  private final byte[] incarnation =
      "%d.%d"
          .formatted(ProcessHandle.current().pid(), PRODUCERS.incrementAndGet())
          .getBytes(StandardCharsets.UTF_8);

  @Override
  public ProducerRecord<byte[], byte[]> onSend(final ProducerRecord<byte[], byte[]> record) {
    record.headers().add(NAME, incarnation);
    return record;
  }

  @Override
  public void onAcknowledgement(final RecordMetadata metadata, final Exception exception) {}

  @Override
  public void close() {}

  @Override
  public void configure(final Map<String, ?> configs) {}
}
