package dev.sarathi.streams.application;

import dev.sarathi.schemas.PromptRequest;
import io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException;
import java.io.InterruptedIOException;
import java.net.SocketException;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.Set;
import java.util.function.Supplier;
import javax.net.ssl.SSLException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.streams.processor.api.Record;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whether the schema registry is away, as the tasks of this instance know it. The task that is
 * turned away says so; the others then need not wait for it, too. It is asked again on a thread of
 * its own, since a registry that hangs would take a stream thread's time from the generations that
 * run.
 *
 * <p>Threading: safe.
 */
final class RegistryOutage {
  private static final Logger LOG = LoggerFactory.getLogger(RegistryOutage.class);
  private static final Duration FIRST_PAUSE = Duration.ofMillis(250);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(5);

  /** Answers of the registry that another try, or an operator, can change. */
  private static final Set<Integer> PASSING_STATUS = Set.of(401, 403, 408, 429);

  /** Confluent's client says so of an answer in another's words: a proxy's without a registry. */
  private static final int NOT_THE_REGISTRY = 50005;

  private final Supplier<Deserializer<PromptRequest>> deserializers;
  private boolean on;
  private boolean asking;
  private String topic;
  private Record<byte[], byte[]> unread;
  private long began;
  private long next;
  private Duration pause;

  /**
   * @param deserializers makes one that has no schemas in its cache
   */
  RegistryOutage(final Supplier<Deserializer<PromptRequest>> deserializers) {
    this.deserializers = deserializers;
  }

  /** The registry could not be asked for the schema of this record. */
  synchronized void met(
      final String fromTopic, final Record<byte[], byte[]> record, final RuntimeException reason) {
    if (on) {
      return;
    }
    LOG.warn(
        "the schema registry is away; prompts with a schema not seen before are held until it"
            + " answers, all else goes on: {}",
        Access.withoutSecret(causeOf(reason).toString()));
    on = true;
    topic = fromTopic;
    unread = record;
    began = System.nanoTime();
    pause = FIRST_PAUSE;
    next = began + pause.toNanos();
  }

  /** Whether it is away still; has it asked again when it is time to. */
  synchronized boolean isOn() {
    if (on && !asking && System.nanoTime() - next >= 0) {
      asking = true;
      Thread.ofVirtual().name("sarathi-registry").start(this::ask);
    }
    return on;
  }

  private void ask() {
    boolean away = false;
    try (Deserializer<PromptRequest> deserializer = deserializers.get()) {
      deserializer.deserialize(topic, unread.headers(), unread.value());
    } catch (final RuntimeException e) {
      // A refusal is an answer: the record's task asks for itself, and does what is to be done.
      away = isAway(e);
    }
    synchronized (this) {
      asking = false;
      if (away) {
        pause =
            pause.multipliedBy(2).compareTo(LONGEST_PAUSE) < 0
                ? pause.multipliedBy(2)
                : LONGEST_PAUSE;
        next = System.nanoTime() + pause.toNanos();
      } else {
        on = false;
        LOG.info(
            "the schema registry answers again, after {} s; the held prompts go on",
            Duration.ofNanos(System.nanoTime() - began).toSeconds());
      }
    }
  }

  /** Whether a failure says that the registry could not be asked, rather than what it answered. */
  static boolean isAway(final Throwable failure) {
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

  /** What the failure comes from; Confluent's own messages repeat the whole schema. */
  static Throwable causeOf(final Throwable failure) {
    Throwable cause = failure;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    return cause;
  }
}
