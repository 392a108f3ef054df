package dev.sarathi.streams.application;

import dev.sarathi.schemas.PromptRequest;
import io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException;
import java.io.InterruptedIOException;
import java.net.SocketException;
import java.net.UnknownHostException;
import java.time.Instant;
import java.util.Set;
import javax.net.ssl.SSLException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.streams.errors.TaskMigratedException;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Decodes prompt requests from bytes; what cannot be decoded goes to the dead letters as it came.
 * Decoding here rather than in the source node keeps the original bytes, and tells a bad record
 * from a registry that is away.
 *
 * <p>Threading: confined to the stream thread.
 */
final class PromptDecoder implements Processor<byte[], byte[], byte[], Object> {
  private static final Logger LOG = LoggerFactory.getLogger(PromptDecoder.class);
  private static final int TRIES = 4;
  private static final long FIRST_PAUSE_MILLIS = 250;

  /** Answers of the registry that another try, or an operator, can change. */
  private static final Set<Integer> PASSING_STATUS = Set.of(401, 403, 408, 429);

  /** Confluent's client says so of an answer in another's words: a proxy's without a registry. */
  private static final int NOT_THE_REGISTRY = 50005;

  private final Deserializer<PromptRequest> deserializer;
  private final String next;
  private final String deadLetters;
  private ProcessorContext<byte[], Object> context;

  /**
   * @param next the child that takes the decoded prompts
   * @param deadLetters the child that takes the rest
   */
  PromptDecoder(
      final Deserializer<PromptRequest> deserializer, final String next, final String deadLetters) {
    this.deserializer = deserializer;
    this.next = next;
    this.deadLetters = deadLetters;
  }

  @Override
  public void init(final ProcessorContext<byte[], Object> processorContext) {
    this.context = processorContext;
  }

  @Override
  public void process(final Record<byte[], byte[]> record) {
    if (record.value() == null) {
      context.forward(record.withValue((Object) null), next);
      return;
    }
    final RecordMetadata metadata =
        context
            .recordMetadata()
            .orElseThrow(() -> new IllegalStateException("a prompt without topic and offset"));
    final PromptRequest request;
    try {
      request = decode(record, metadata);
    } catch (final TaskMigratedException e) {
      throw e;
    } catch (final RuntimeException e) {
      LOG.warn(
          "prompt at {}-{} offset {} cannot be decoded and goes to the dead letters: {}",
          metadata.topic(),
          metadata.partition(),
          metadata.offset(),
          e.toString());
      context.forward(
          DeadLetters.letter(
              record.key(),
              record.value(),
              record.headers(),
              record.timestamp(),
              e,
              metadata.topic(),
              metadata.partition(),
              metadata.offset()),
          deadLetters);
      return;
    }
    final SourcePrompt prompt =
        new SourcePrompt(
            PromptRequests.idOf(
                request, record.key(), metadata.topic(), metadata.partition(), metadata.offset()),
            request,
            Instant.ofEpochMilli(record.timestamp()),
            record.value());
    context.forward(record.withValue((Object) prompt), next);
  }

  private PromptRequest decode(final Record<byte[], byte[]> record, final RecordMetadata metadata) {
    long pause = FIRST_PAUSE_MILLIS;
    for (int tries = 1; ; tries++) {
      try {
        return deserializer.deserialize(metadata.topic(), record.headers(), record.value());
      } catch (final RuntimeException e) {
        if (!isRegistryAway(e)) {
          throw e;
        }
        if (tries == TRIES) {
          // Not an exception that a handler may take for a bad record: the thread gives its tasks
          // up, and reads the record again when it has them back.
          throw new TaskMigratedException(
              "the schema registry could not be asked, %d times, for the prompt at %s-%d offset %d"
                  .formatted(tries, metadata.topic(), metadata.partition(), metadata.offset()),
              e);
        }
        LOG.warn("the schema registry is away, try {} of {}: {}", tries, TRIES, e.toString());
      }
      sleep(pause);
      pause *= 2;
    }
  }

  static boolean isRegistryAway(final Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof SocketException
          || cause instanceof UnknownHostException
          || cause instanceof InterruptedIOException
          || cause instanceof SSLException
          || cause instanceof RetriableException
          || cause instanceof RestClientException answer
              && (answer.getStatus() >= 500
                  || PASSING_STATUS.contains(answer.getStatus())
                  || answer.getErrorCode() == NOT_THE_REGISTRY)) {
        return true;
      }
    }
    return false;
  }

  private static void sleep(final long millis) {
    try {
      Thread.sleep(millis);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new TaskMigratedException("interrupted while waiting for the schema registry", e);
    }
  }
}
