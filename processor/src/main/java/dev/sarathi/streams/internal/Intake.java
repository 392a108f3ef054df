package dev.sarathi.streams.internal;

import dev.sarathi.runtime.FinishReason;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.InvalidRequestException;
import dev.sarathi.runtime.Priority;
import dev.sarathi.streams.GenerationResult.Provenance;
import dev.sarathi.streams.GenerationResult.Rejected;
import dev.sarathi.streams.GenerationSettings;
import dev.sarathi.streams.Origin;
import dev.sarathi.streams.Placed;
import dev.sarathi.streams.internal.GenerationStores.Known;
import dev.sarathi.streams.internal.stored.StoredRequest;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes records in: each becomes a stored request, is dropped as a repetition, or is rejected with
 * a reason.
 *
 * <p>Threading: confined to the stream thread.
 */
final class Intake<K, V> {
  private static final Logger LOG = LoggerFactory.getLogger(Intake.class);

  /** An id is part of the keys of stores and changelogs, whose records have limits. */
  private static final int MAX_ID_CHARS = 1024;

  /** A token's id and text in an output record, roughly; and a log-probability's id and value. */
  private static final int TOKEN_BYTES = 16;

  private static final int LOGPROB_BYTES = 8;

  private final GenerationEngine engine;
  private final GenerationSettings settings;
  private final Requests<K, V> requests;
  private final ProcessorContext<?, ?> context;
  private final StoreNames names;
  private final GenerationStores stores;
  private final GenerationMetrics metrics;
  private final Outlet<K, V, ?> outlet;
  private final Jobs<K, V, ?> jobs;

  Intake(
      final GenerationEngine engine,
      final GenerationSettings settings,
      final Requests<K, V> requests,
      final ProcessorContext<?, ?> context,
      final StoreNames names,
      final GenerationStores stores,
      final GenerationMetrics metrics,
      final Outlet<K, V, ?> outlet,
      final Jobs<K, V, ?> jobs) {
    this.engine = engine;
    this.settings = settings;
    this.requests = requests;
    this.context = context;
    this.names = names;
    this.stores = stores;
    this.metrics = metrics;
    this.outlet = outlet;
    this.jobs = jobs;
  }

  /** The id that a record with a null value cancels, if it says so. */
  Optional<String> cancelledBy(final Record<K, V> record) {
    try {
      return requests.cancelledBy().apply(record.key());
    } catch (final RuntimeException e) {
      final Origin<K, V> origin = originOf(record);
      reject(
          nameOf(origin),
          origin,
          new InvalidRequestException("key", "does not tell which request to cancel: " + e));
      return Optional.empty();
    }
  }

  /**
   * Stores the request of a record.
   *
   * @return where it lies; empty if the record was a repetition or was rejected
   */
  Optional<Bytes> take(final Record<K, V> record) {
    final Origin<K, V> origin = originOf(record);
    String id = nameOf(origin);
    final StoredRequest stored;
    final byte[] encoded;
    try {
      id = idOf(record, id);
      final GenerationRequest request = requests.requestOf(id, record.key(), record.value());
      stored = requests.store(id, request, origin);
      encoded = GenerationStores.encode(stored);
      if (encoded.length > settings.maxRequestBytes()) {
        throw new InvalidRequestException(
            "request",
            "takes %d bytes to store, more than the limit of %d"
                .formatted(encoded.length, settings.maxRequestBytes()));
      }
      validate(Requests.requestOf(stored));
    } catch (final InvalidRequestException e) {
      reject(id, origin, e);
      return Optional.empty();
    }
    final Optional<Known> known = inTheWay(id, origin);
    if (known.isPresent()) {
      repeated(stored, origin, known.get());
      return Optional.empty();
    }
    if (jobs.isCancelled(origin)) {
      answer(id, origin, FinishReason.CANCELLED, Optional.empty(), Requests.digest(stored));
      return Optional.empty();
    }
    final long arrival = context.currentSystemTimeMs();
    final boolean bulk = Requests.requestOf(stored).priority() == Priority.BULK;
    final Bytes position =
        Position.of(
            bulk ? arrival + settings.bulkAging().toMillis() : arrival, origin.offset(), id);
    stores.put(position, stored, encoded);
    jobs.arrived(origin);
    return Optional.of(position);
  }

  /**
   * Refuses what the engine refuses, and what no record could hold when it is complete: that would
   * be generated again and again.
   */
  private void validate(final GenerationRequest request) {
    final int promptTokens = engine.validate(request);
    final int room = engine.contextLength() - promptTokens;
    // Choice 0 of several is in the completion twice.
    final int choices = request.choices() == 1 ? 1 : request.choices() + 1;
    final long bytes =
        promptTokens * bytes(request.promptLogprobs())
            + (long) choices
                * Math.min(request.maxTokens().orElse(room), room)
                * (TOKEN_BYTES + bytes(request.logprobs()));
    final boolean asked =
        choices > 1 || request.logprobs().isPresent() || request.promptLogprobs().isPresent();
    if (asked && bytes > settings.maxRequestBytes()) {
      throw new InvalidRequestException(
          "n",
          ("%d, with these max_tokens, logprobs and prompt_logprobs, may come to a completion of"
                  + " %d bytes, more than the limit of %d")
              .formatted(request.choices(), bytes, settings.maxRequestBytes()));
    }
  }

  private static long bytes(final OptionalInt logprobs) {
    return logprobs.isPresent() ? (1L + logprobs.getAsInt()) * LOGPROB_BYTES : 0;
  }

  private static String nameOf(final Origin<?, ?> origin) {
    return "%s-%d-%d".formatted(origin.topic(), origin.partition(), origin.offset());
  }

  private String idOf(final Record<K, V> record, final String fallback) {
    final String id;
    try {
      id = requests.id().apply(record.key(), record.value());
    } catch (final RuntimeException e) {
      throw new InvalidRequestException("id", "cannot be told of the record: " + e);
    }
    if (id != null && id.length() > MAX_ID_CHARS) {
      throw new InvalidRequestException(
          "id", "has %d characters; valid is up to %d".formatted(id.length(), MAX_ID_CHARS));
    }
    return id == null || id.isEmpty() ? fallback : id;
  }

  private Origin<K, V> originOf(final Record<K, V> record) {
    final Optional<RecordMetadata> metadata =
        Optional.of(record)
            .map(Record::value)
            .filter(Placed.class::isInstance)
            .flatMap(value -> ((Placed) value).place())
            .or(context::recordMetadata);
    return new Origin<>(
        Optional.ofNullable(record.key()),
        Optional.ofNullable(record.value()),
        new RecordHeaders(record.headers()),
        Instant.ofEpochMilli(record.timestamp()),
        metadata.map(RecordMetadata::topic).orElse(names.node()),
        metadata.map(RecordMetadata::partition).orElse(context.taskId().partition()),
        metadata.map(RecordMetadata::offset).orElse(-1L));
  }

  /** The request that has an id already. One that has failed gives way to what is put back. */
  private Optional<Known> inTheWay(final String id, final Origin<K, V> origin) {
    return stores
        .known(id, context.currentSystemTimeMs())
        .filter(known -> !(known.failed() && origin.isRequeued()));
  }

  private void repeated(final StoredRequest stored, final Origin<K, V> origin, final Known known) {
    if (Arrays.equals(known.digest(), Requests.digest(stored))) {
      metrics.duplicates.record();
      LOG.debug("request {} is there already; its repetition is dropped", stored.getId());
      return;
    }
    metrics.rejected.record();
    outlet.forward(
        List.of(
            new Rejected<>(
                stored.getId(),
                origin,
                new InvalidRequestException(
                    "id", stored.getId() + " belongs to another request, whose content differs"))));
  }

  /** Answers a record that can never be served, in its own name unless that is another's. */
  private void reject(
      final String id, final Origin<K, V> origin, final InvalidRequestException reason) {
    metrics.rejected.record();
    LOG.warn(
        "request {} at {}-{} offset {} is rejected: {}",
        id,
        origin.topic(),
        origin.partition(),
        origin.offset(),
        reason.getMessage());
    outlet.forward(List.of(new Rejected<>(id, origin, reason)));
    if (inTheWay(id, origin).isEmpty()) {
      answer(
          id,
          origin,
          FinishReason.ERROR,
          Optional.of(reason.getMessage()),
          Requests.digest(StandardCharsets.UTF_8.encode(reason.getMessage())));
    }
  }

  /** Ends a request that was not even stored. */
  private void answer(
      final String id,
      final Origin<K, V> origin,
      final FinishReason reason,
      final Optional<String> error,
      final byte[] digest) {
    jobs.arrived(origin);
    jobs.begun(origin);
    final Provenance provenance = new Provenance(0, engine.fingerprint(), Optional.empty());
    // One choice: how many were asked for may be what is wrong.
    outlet.end(id, origin, provenance, new Transcript(1), new Outlet.End(reason, error, 0));
    stores.remember(
        id, new Known(digest, reason == FinishReason.ERROR), context.currentSystemTimeMs());
  }
}
