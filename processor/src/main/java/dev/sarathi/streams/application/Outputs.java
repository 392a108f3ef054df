package dev.sarathi.streams.application;

import dev.sarathi.runtime.Finish;
import dev.sarathi.runtime.schedule.Logprobs;
import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.CompletionChoice;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.JobProgress;
import dev.sarathi.schemas.Timing;
import dev.sarathi.schemas.TokenLogprob;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.schemas.TopLogprob;
import dev.sarathi.schemas.Usage;
import dev.sarathi.streams.GenerationResult;
import dev.sarathi.streams.Routed;
import io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException;
import java.net.HttpURLConnection;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.processor.api.Record;

/**
 * Turns results into serialised records: token records and completions keyed by request id, dead
 * letters as they came.
 *
 * <p>Threading: safe; a serializer, which by itself is not, serves one thread at a time.
 *
 * @param tokens the topic and child of the token records; absent to make none
 * @param completions the topic and child of the completions; absent to make none
 * @param jobs the topic and child of the jobs' progress; absent to make none
 */
record Outputs(
    Optional<Outlet<TokenRecord>> tokens,
    Optional<Outlet<Completion>> completions,
    Optional<Outlet<JobProgress>> jobs,
    String deadLetters,
    String model) {

  /**
   * A sink's name in the topology, its topic, the registry's subject of that, and how its values
   * are serialised.
   */
  record Outlet<T>(String child, String topic, String subject, Serializer<T> serializer) {
    private byte[] serialize(final T value) {
      synchronized (serializer) {
        return serializer.serialize(topic, value);
      }
    }

    private Routed<byte[], byte[]> route(
        final GenerationResult<byte[], SourcePrompt> result, final long timestamp, final T value) {
      final byte[] bytes = serialize(value);
      return new Routed<>(
          new Record<>(
              result.id().getBytes(StandardCharsets.UTF_8),
              bytes,
              timestamp,
              result.origin().headers()),
          Optional.of(child));
    }

    /** Makes the serializer ask the registry for what it needs. */
    private void warmUp(final T value) {
      try {
        serialize(value);
      } catch (final RuntimeException e) {
        if (RegistryOutage.isAway(e)) {
          throw e;
        }
        throw refused(RegistryOutage.causeOf(e));
      }
    }

    private IllegalStateException refused(final Throwable cause) {
      final int status = cause instanceof RestClientException answer ? answer.getStatus() : 0;
      final String fix =
          switch (status) {
            case HttpURLConnection.HTTP_NOT_FOUND ->
                "; where auto.register.schemas=false it has to be registered before";
            case HttpURLConnection.HTTP_CONFLICT ->
                "; the compatibility level of the subject does not allow this version";
            default -> "";
          };
      return new IllegalStateException(
          "the schema registry refuses subject %s, for the records of topic %s: %s%s"
              .formatted(subject, topic, cause.getMessage(), fix),
          cause);
    }
  }

  /**
   * Registers or finds the schemas of the outputs.
   *
   * @throws IllegalStateException naming the subject, if the registry refuses
   * @throws RuntimeException as Confluent's serializers do, if it is away
   */
  void warmUp() {
    tokens.ifPresent(
        outlet ->
            outlet.warmUp(
                TokenRecord.newBuilder()
                    .setRequestId("")
                    .setIndex(0)
                    .setEmittedAt(java.time.Instant.EPOCH)
                    .build()));
    completions.ifPresent(
        outlet ->
            outlet.warmUp(
                Completion.newBuilder()
                    .setRequestId("")
                    .setPromptedAt(java.time.Instant.EPOCH)
                    .setEmittedAt(java.time.Instant.EPOCH)
                    .build()));
    jobs.ifPresent(outlet -> outlet.warmUp(JobProgress.newBuilder().setJobId("").build()));
  }

  /** Keyed by partition and job: the newest of each partition stays when the topic is compacted. */
  List<Routed<byte[], byte[]>> records(final dev.sarathi.streams.JobProgress progress) {
    return jobs.stream()
        .map(
            outlet ->
                new Routed<>(
                    new Record<>(
                        (progress.partition() + "/" + progress.job())
                            .getBytes(StandardCharsets.UTF_8),
                        outlet.serialize(record(progress)),
                        System.currentTimeMillis()),
                    Optional.of(outlet.child())))
        .toList();
  }

  private static JobProgress record(final dev.sarathi.streams.JobProgress progress) {
    return JobProgress.newBuilder()
        .setJobId(progress.job())
        .setPartition(progress.partition())
        .setWaiting(progress.waiting())
        .setRunning(progress.running())
        .setStop(ended(progress, dev.sarathi.runtime.FinishReason.STOP))
        .setLength(ended(progress, dev.sarathi.runtime.FinishReason.LENGTH))
        .setCancelled(ended(progress, dev.sarathi.runtime.FinishReason.CANCELLED))
        .setDeadline(ended(progress, dev.sarathi.runtime.FinishReason.DEADLINE))
        .setError(ended(progress, dev.sarathi.runtime.FinishReason.ERROR))
        .setPromptTokens(progress.promptTokens())
        .setCompletionTokens(progress.completionTokens())
        .setStartedAt(progress.started().orElse(null))
        .setFinishedAt(progress.finished().orElse(null))
        .setCancelRequested(progress.cancelRequested())
        .build();
  }

  private static long ended(
      final dev.sarathi.streams.JobProgress progress,
      final dev.sarathi.runtime.FinishReason reason) {
    return progress.ended().getOrDefault(reason, 0L);
  }

  List<Routed<byte[], byte[]>> records(final GenerationResult<byte[], SourcePrompt> result) {
    return switch (result) {
      case GenerationResult.Tokens<byte[], SourcePrompt> part ->
          tokens
              .map(
                  outlet ->
                      List.of(outlet.route(part, part.emittedAt().toEpochMilli(), record(part))))
              .orElse(List.of());
      case GenerationResult.Completion<byte[], SourcePrompt> whole ->
          completions
              .map(
                  outlet ->
                      List.of(outlet.route(whole, whole.emittedAt().toEpochMilli(), record(whole))))
              .orElse(List.of());
      case GenerationResult.Rejected<byte[], SourcePrompt> rejected -> List.of(letter(rejected));
    };
  }

  private static TokenRecord record(final GenerationResult.Tokens<byte[], SourcePrompt> part) {
    // In the schema's order. The builder looks at every field twice more, which with one token a
    // record costs as much as the rest of its making.
    return new TokenRecord(
        part.id(),
        part.choice(),
        part.index(),
        part.tokens(),
        part.text(),
        logprobs(part.logprobs()),
        logprobs(part.promptLogprobs()),
        part.finish().map(Outputs::reason).orElse(null),
        part.last(),
        part.finish().flatMap(Finish::error).orElse(null),
        part.finish().map(Finish::usage).map(Outputs::usage).orElse(null),
        part.finish().map(Finish::timing).map(Outputs::timing).orElse(null),
        part.emittedAt(),
        part.provenance().attempt(),
        part.provenance().fingerprint(),
        part.provenance().previousFingerprint().orElse(null),
        job(part).orElse(null));
  }

  private Completion record(final GenerationResult.Completion<byte[], SourcePrompt> whole) {
    return Completion.newBuilder()
        .setRequestId(whole.id())
        .setText(whole.text())
        .setTokenIds(whole.tokens())
        .setLogprobs(logprobs(whole.choices().getFirst().logprobs()))
        .setPromptLogprobs(logprobs(whole.promptLogprobs()))
        .setFinishReason(reason(whole.finish()))
        .setError(whole.finish().error().orElse(null))
        .setChoices(choices(whole.choices()))
        .setUsage(usage(whole.usage()))
        .setTiming(timing(whole.timing()))
        .setPromptedAt(whole.origin().timestamp())
        .setEmittedAt(whole.emittedAt())
        .setAttempt(whole.provenance().attempt())
        .setModel(model)
        .setFingerprint(whole.provenance().fingerprint())
        .setPreviousFingerprint(whole.provenance().previousFingerprint().orElse(null))
        .setJobId(job(whole).orElse(null))
        .build();
  }

  private static List<CompletionChoice> choices(final List<GenerationResult.Choice> choices) {
    return choices.size() == 1
        ? List.of()
        : IntStream.range(0, choices.size())
            .mapToObj(number -> choice(number, choices.get(number)))
            .toList();
  }

  private static CompletionChoice choice(final int number, final GenerationResult.Choice choice) {
    return CompletionChoice.newBuilder()
        .setChoice(number)
        .setText(choice.text())
        .setTokenIds(choice.tokens())
        .setLogprobs(logprobs(choice.logprobs()))
        .setFinishReason(reason(choice.finish()))
        .setError(choice.finish().error().orElse(null))
        .build();
  }

  private static List<TokenLogprob> logprobs(final List<Logprobs> logprobs) {
    // Hardly anybody asks for them, and a stream over nothing costs as much as a small record.
    return logprobs.isEmpty()
        ? List.of()
        : logprobs.stream()
            .map(token -> new TokenLogprob(token.token(), token.logprob(), top(token)))
            .toList();
  }

  private static List<TopLogprob> top(final Logprobs token) {
    return IntStream.range(0, token.topTokens().length)
        .mapToObj(i -> new TopLogprob(token.topTokens()[i], token.topLogprobs()[i]))
        .toList();
  }

  private static Optional<String> job(final GenerationResult<byte[], SourcePrompt> result) {
    return result.origin().value().flatMap(prompt -> prompt.request().getJobId());
  }

  private static FinishReason reason(final Finish finish) {
    return switch (finish.reason()) {
      case STOP -> FinishReason.STOP;
      case LENGTH -> FinishReason.LENGTH;
      case CANCELLED -> FinishReason.CANCELLED;
      case DEADLINE -> FinishReason.DEADLINE;
      case ERROR -> FinishReason.ERROR;
    };
  }

  private static Usage usage(final Finish.Usage usage) {
    return Usage.newBuilder()
        .setPromptTokens(usage.promptTokens())
        .setCompletionTokens(usage.completionTokens())
        .setCachedTokens(usage.cachedTokens())
        .build();
  }

  private static Timing timing(final Finish.Timing timing) {
    return Timing.newBuilder()
        .setQueueMs(millis(timing.queued()))
        .setTimeToFirstTokenMs(millis(timing.timeToFirstToken()))
        .setTotalMs(millis(timing.total()))
        .setLongestGapMs(millis(timing.longestGap()))
        .build();
  }

  private static double millis(final Duration duration) {
    return duration.toNanos() / 1e6;
  }

  private Routed<byte[], byte[]> letter(
      final GenerationResult.Rejected<byte[], SourcePrompt> rejected) {
    final var origin = rejected.origin();
    return new Routed<>(
        DeadLetters.letter(
            origin.key().orElse(null),
            origin.value().map(SourcePrompt::original).orElse(null),
            origin.headers(),
            origin.timestamp().toEpochMilli(),
            rejected.reason(),
            origin.topic(),
            origin.partition(),
            origin.offset()),
        Optional.of(deadLetters));
  }
}
