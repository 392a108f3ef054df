package dev.sarathi.streams.internal;

import dev.sarathi.runtime.FinishReason;
import dev.sarathi.streams.GenerationResult;
import dev.sarathi.streams.JobProgress;
import dev.sarathi.streams.Origin;
import dev.sarathi.streams.Routed;
import dev.sarathi.streams.internal.stored.StoredJob;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * Counts the requests of each job in one task, in the transaction of what it counts, and tells of
 * the changes at most once a second.
 *
 * <p>A request waits until it is first taken up, and runs from then on, whatever crashes come.
 * Requests without a job cost nothing.
 *
 * <p>Threading: confined to the stream thread.
 */
final class Jobs<K, V, W> {
  private static final long PUBLISH_MILLIS = 1_000;
  private static final long PRUNE_MILLIS = Duration.ofHours(1).toMillis();

  private final ProcessorContext<K, W> context;
  private final Optional<JobRules<K, V, W>> rules;
  private final Duration retention;

  /** Null where nothing is counted. */
  private final KeyValueStore<String, byte[]> store;

  private final Set<String> changed = new LinkedHashSet<>();
  private long published;
  private long pruned;

  Jobs(
      final ProcessorContext<K, W> context,
      final Optional<JobRules<K, V, W>> rules,
      final StoreNames names,
      final Duration retention) {
    this.context = context;
    this.rules = rules;
    this.retention = retention;
    this.store = rules.isPresent() ? context.getStateStore(names.jobs()) : null;
  }

  // ---- what happens to requests

  /** A request has been stored. */
  void arrived(final Origin<K, V> origin) {
    update(
        origin,
        job -> {
          job.setWaiting(job.getWaiting() + 1);
          if (job.getStarted() == 0) {
            job.setStarted(context.currentSystemTimeMs());
          }
        });
  }

  /** A request is taken up for the first time. */
  void begun(final Origin<K, V> origin) {
    update(origin, job -> job.setWaiting(job.getWaiting() - 1).setRunning(job.getRunning() + 1));
  }

  /** Results of one request are forwarded. */
  void count(final List<? extends GenerationResult<K, V>> results) {
    if (results.getFirst() instanceof GenerationResult.Rejected<K, V>) {
      return; // it was never counted as arrived
    }
    update(results.getFirst().origin(), job -> results.forEach(result -> count(job, result)));
  }

  private static <K, V> void count(
      final StoredJob.Builder job, final GenerationResult<K, V> result) {
    switch (result) {
      case GenerationResult.Tokens<K, V> part ->
          job.setCompletionTokens(job.getCompletionTokens() + part.tokens().size());
      case GenerationResult.Completion<K, V> whole -> end(job, whole);
      case GenerationResult.Rejected<K, V> _ -> {}
    }
  }

  private static <K, V> void end(
      final StoredJob.Builder job, final GenerationResult.Completion<K, V> whole) {
    job.setRunning(job.getRunning() - 1);
    if (whole.usage().completionTokens() > 0) {
      job.setPromptTokens(job.getPromptTokens() + whole.usage().promptTokens());
    }
    switch (whole.finish().reason()) {
      case STOP -> job.setStop(job.getStop() + 1);
      case LENGTH -> job.setLength(job.getLength() + 1);
      case CANCELLED -> job.setCancelled(job.getCancelled() + 1);
      case DEADLINE -> job.setDeadline(job.getDeadline() + 1);
      case ERROR -> job.setError(job.getError() + 1);
    }
  }

  // ---- cancellation

  /** The job that a record without a value cancels. */
  Optional<String> cancelledBy(final K key, final Headers headers) {
    return rules.flatMap(given -> given.cancelled().apply(key, headers));
  }

  void cancel(final String job) {
    update(job, stored -> stored.setCancelRequested(true));
  }

  boolean isCancelled(final Origin<K, V> origin) {
    return jobOf(origin).flatMap(this::stored).filter(StoredJob::getCancelRequested).isPresent();
  }

  // ---- what is told of it

  /**
   * Takes every job for changed: what was told of it last may have been aborted.
   *
   * @return whether a cancelled job has requests left
   */
  boolean begin() {
    boolean cancelling = false;
    if (store != null) {
      try (KeyValueIterator<String, byte[]> all = store.all()) {
        while (all.hasNext()) {
          final KeyValue<String, byte[]> next = all.next();
          final StoredJob job = decode(next.value);
          changed.add(next.key);
          cancelling |= job.getCancelRequested() && unfinished(job) > 0;
        }
      }
    }
    return cancelling;
  }

  /**
   * Forwards the progress of the jobs that have changed, if the time has come.
   *
   * @return whether there were any
   */
  boolean publish() {
    final long now = context.currentSystemTimeMs();
    if (store == null || changed.isEmpty() || now - published < PUBLISH_MILLIS) {
      return false;
    }
    published = now;
    final List<Routed<K, W>> records = new ArrayList<>();
    for (final String job : changed) {
      stored(job)
          .ifPresent(stored -> records.addAll(rules.get().outlet().apply(progress(job, stored))));
    }
    changed.clear();
    records.forEach(this::forward);
    if (now - pruned >= PRUNE_MILLIS) {
      pruned = now;
      prune(now);
    }
    return !records.isEmpty();
  }

  /** Forgets jobs that ended so long ago that their requests are forgotten too. */
  private void prune(final long now) {
    final List<String> old = new ArrayList<>();
    try (KeyValueIterator<String, byte[]> all = store.all()) {
      while (all.hasNext()) {
        final KeyValue<String, byte[]> next = all.next();
        final StoredJob job = decode(next.value);
        if (unfinished(job) == 0 && now - job.getUpdated() > retention.toMillis()) {
          old.add(next.key);
        }
      }
    }
    old.forEach(store::delete);
  }

  private JobProgress progress(final String job, final StoredJob stored) {
    final Map<FinishReason, Long> ended = new EnumMap<>(FinishReason.class);
    ended.put(FinishReason.STOP, stored.getStop());
    ended.put(FinishReason.LENGTH, stored.getLength());
    ended.put(FinishReason.CANCELLED, stored.getCancelled());
    ended.put(FinishReason.DEADLINE, stored.getDeadline());
    ended.put(FinishReason.ERROR, stored.getError());
    final boolean began = stored.getStarted() > 0;
    return new JobProgress(
        job,
        context.taskId().partition(),
        stored.getWaiting(),
        stored.getRunning(),
        ended,
        stored.getPromptTokens(),
        stored.getCompletionTokens(),
        began ? Optional.of(Instant.ofEpochMilli(stored.getStarted())) : Optional.empty(),
        began && unfinished(stored) == 0
            ? Optional.of(Instant.ofEpochMilli(stored.getUpdated()))
            : Optional.empty(),
        stored.getCancelRequested());
  }

  private void forward(final Routed<K, W> routed) {
    if (routed.child().isPresent()) {
      context.forward(routed.record(), routed.child().get());
    } else {
      context.forward(routed.record());
    }
  }

  // ---- plumbing

  private Optional<String> jobOf(final Origin<K, V> origin) {
    return rules
        .flatMap(given -> origin.value().flatMap(given.job()))
        .filter(job -> !job.isEmpty());
  }

  private void update(final Origin<K, V> origin, final Consumer<StoredJob.Builder> change) {
    jobOf(origin).ifPresent(job -> update(job, change));
  }

  private void update(final String job, final Consumer<StoredJob.Builder> change) {
    final StoredJob.Builder builder =
        stored(job).map(StoredJob::newBuilder).orElseGet(StoredJob::newBuilder);
    change.accept(builder);
    store.put(job, encode(builder.setUpdated(context.currentSystemTimeMs()).build()));
    changed.add(job);
  }

  private static long unfinished(final StoredJob job) {
    return job.getWaiting() + job.getRunning();
  }

  private Optional<StoredJob> stored(final String job) {
    return Optional.ofNullable(store.get(job)).map(Jobs::decode);
  }

  private static StoredJob decode(final byte[] bytes) {
    try {
      return StoredJob.fromByteBuffer(ByteBuffer.wrap(bytes));
    } catch (final IOException e) {
      throw new UncheckedIOException("a stored job of " + bytes.length + " bytes is broken", e);
    }
  }

  private static byte[] encode(final StoredJob job) {
    try {
      return Requests.bytes(job.toByteBuffer());
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
