package dev.sarathi.streams.internal;

import dev.sarathi.runtime.ChatMessage;
import dev.sarathi.runtime.Constraint;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.InvalidRequestException;
import dev.sarathi.runtime.Priority;
import dev.sarathi.runtime.Prompt;
import dev.sarathi.runtime.Sampling;
import dev.sarathi.streams.Origin;
import dev.sarathi.streams.internal.stored.StoredBias;
import dev.sarathi.streams.internal.stored.StoredChat;
import dev.sarathi.streams.internal.stored.StoredConstraint;
import dev.sarathi.streams.internal.stored.StoredContent;
import dev.sarathi.streams.internal.stored.StoredHeader;
import dev.sarathi.streams.internal.stored.StoredMessage;
import dev.sarathi.streams.internal.stored.StoredRequest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Serde;

/**
 * How a record becomes a request, and a request a stored value and back.
 *
 * @param id names the request of a record
 * @param request makes it
 * @param keySerde stores the record's key
 * @param valueSerde stores what the results need of the record's value
 * @param cancelledBy the id that a null value with this key cancels
 */
public record Requests<K, V>(
    BiFunction<K, V, String> id,
    BiFunction<K, V, GenerationRequest> request,
    Serde<K> keySerde,
    Serde<V> valueSerde,
    Function<K, Optional<String>> cancelledBy) {

  /**
   * @throws InvalidRequestException if the record's mapper refuses it
   */
  GenerationRequest requestOf(final String id, final K key, final V value) {
    try {
      return Objects.requireNonNull(request.apply(key, value), "the mapper returned null");
    } catch (final InvalidRequestException e) {
      throw e;
    } catch (final RuntimeException e) {
      throw new InvalidRequestException("request", "of id " + id + " cannot be made: " + e);
    }
  }

  StoredRequest store(final String id, final GenerationRequest request, final Origin<K, V> origin) {
    final String topic = origin.topic();
    final Headers headers = origin.headers();
    return StoredRequest.newBuilder()
        .setId(id)
        .setContent(content(request))
        .setDeadline(request.deadline().map(Requests::millis).orElse(null))
        .setKey(
            origin
                .key()
                .map(k -> wrap(keySerde.serializer().serialize(topic, headers, k)))
                .orElse(null))
        .setValue(
            origin
                .value()
                .map(v -> wrap(valueSerde.serializer().serialize(topic, headers, v)))
                .orElse(null))
        .setHeaders(stored(headers))
        .setTimestamp(origin.timestamp().toEpochMilli())
        .setTopic(topic)
        .setPartition(origin.partition())
        .setOffset(origin.offset())
        .setConstraint(request.constraint().map(Requests::stored).orElse(null))
        .build();
  }

  Origin<K, V> originOf(final StoredRequest stored) {
    final Headers headers = new RecordHeaders();
    for (final StoredHeader header : stored.getHeaders()) {
      headers.add(
          new RecordHeader(header.getKey(), header.getValue().map(Requests::bytes).orElse(null)));
    }
    final String topic = stored.getTopic();
    return new Origin<>(
        stored.getKey().map(k -> keySerde.deserializer().deserialize(topic, headers, bytes(k))),
        stored.getValue().map(v -> valueSerde.deserializer().deserialize(topic, headers, bytes(v))),
        headers,
        Instant.ofEpochMilli(stored.getTimestamp()),
        topic,
        stored.getPartition(),
        stored.getOffset());
  }

  private static long millis(final Instant instant) {
    try {
      return instant.toEpochMilli();
    } catch (final ArithmeticException e) {
      // Farther away than a long counts: as good as never, or long ago.
      return instant.isAfter(Instant.EPOCH) ? Long.MAX_VALUE : Long.MIN_VALUE;
    }
  }

  private static StoredContent content(final GenerationRequest request) {
    final Sampling sampling = request.sampling();
    return StoredContent.newBuilder()
        .setPrompt(stored(request.prompt()))
        .setTruncatePrompt(orNull(request.truncatePrompt()))
        .setTemperature(sampling.temperature())
        .setTopK(sampling.topK())
        .setTopP(sampling.topP())
        .setMinP(sampling.minP())
        .setRepetitionPenalty(sampling.repetitionPenalty())
        .setPresencePenalty(sampling.presencePenalty())
        .setFrequencyPenalty(sampling.frequencyPenalty())
        // Sorted: the digest of equal requests is equal in every process.
        .setLogitBias(
            new TreeMap<>(sampling.logitBias())
                .entrySet().stream()
                    .map(bias -> new StoredBias(bias.getKey(), bias.getValue()))
                    .toList())
        .setSeed(sampling.seed().isPresent() ? sampling.seed().getAsLong() : null)
        .setChoices(request.choices())
        .setLogprobs(orNull(request.logprobs()))
        .setPromptLogprobs(orNull(request.promptLogprobs()))
        .setMaxTokens(orNull(request.maxTokens()))
        .setStop(request.stop())
        .setStopTokens(request.stopTokens().stream().sorted().toList())
        .setIgnoreEos(request.ignoreEos())
        .setBulk(request.priority() == Priority.BULK)
        .setTenant(request.tenant())
        .build();
  }

  private static Object stored(final Prompt prompt) {
    return switch (prompt) {
      case Prompt.Text text -> text.text();
      case Prompt.Tokens tokens -> Arrays.stream(tokens.ids()).boxed().toList();
      case Prompt.Chat chat ->
          new StoredChat(
              chat.messages().stream()
                  .map(message -> new StoredMessage(message.role(), message.content()))
                  .toList());
    };
  }

  private static StoredConstraint stored(final Constraint constraint) {
    return switch (constraint) {
      case Constraint.OneOf oneOf -> new StoredConstraint(oneOf.texts(), null);
      case Constraint.JsonSchema json -> new StoredConstraint(List.of(), json.schema());
    };
  }

  private static Constraint constraintOf(final StoredConstraint stored) {
    return stored
        .getJsonSchema()
        .map(Constraint::jsonSchema)
        .orElseGet(() -> Constraint.oneOf(stored.getOneOf()));
  }

  private static Integer orNull(final OptionalInt value) {
    return value.isPresent() ? value.getAsInt() : null;
  }

  static GenerationRequest requestOf(final StoredRequest stored) {
    final StoredContent content = stored.getContent();
    return new GenerationRequest(
        stored.getId(),
        promptOf(content.getPrompt()),
        optional(content.getTruncatePrompt()),
        new Sampling(
            content.getTemperature(),
            content.getTopK(),
            content.getTopP(),
            content.getMinP(),
            content.getRepetitionPenalty(),
            content.getPresencePenalty(),
            content.getFrequencyPenalty(),
            content.getLogitBias().stream()
                .collect(Collectors.toMap(StoredBias::getToken, StoredBias::getBias)),
            content.getSeed().map(OptionalLong::of).orElseGet(OptionalLong::empty)),
        content.getChoices(),
        optional(content.getLogprobs()),
        optional(content.getPromptLogprobs()),
        optional(content.getMaxTokens()),
        content.getStop(),
        Set.copyOf(content.getStopTokens()),
        content.getIgnoreEos(),
        content.getBulk() ? Priority.BULK : Priority.INTERACTIVE,
        content.getTenant(),
        stored.getDeadline().map(Instant::ofEpochMilli),
        stored.getConstraint().map(Requests::constraintOf));
  }

  private static OptionalInt optional(final Optional<Integer> value) {
    return value.map(OptionalInt::of).orElseGet(OptionalInt::empty);
  }

  private static Prompt promptOf(final Object stored) {
    return switch (stored) {
      case List<?> ids -> new Prompt.Tokens(ids.stream().mapToInt(id -> (Integer) id).toArray());
      case StoredChat chat ->
          new Prompt.Chat(
              chat.getMessages().stream()
                  .map(message -> new ChatMessage(message.getRole(), message.getContent()))
                  .toList());
      default -> new Prompt.Text((String) stored);
    };
  }

  /** Tells whether two requests of one id are the same; deadlines move with the record's time. */
  static byte[] digest(final StoredRequest stored) {
    try {
      final ByteBuffer content = stored.getContent().toByteBuffer();
      if (stored.getConstraint().isEmpty()) {
        return digest(content);
      }
      final ByteBuffer constraint = stored.getConstraint().get().toByteBuffer();
      return digest(
          ByteBuffer.allocate(content.remaining() + constraint.remaining())
              .put(content)
              .put(constraint)
              .flip());
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static byte[] digest(final ByteBuffer content) {
    try {
      final MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
      sha256.update(content);
      return Arrays.copyOf(sha256.digest(), 16);
    } catch (final NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }

  private static List<StoredHeader> stored(final Headers headers) {
    final List<StoredHeader> stored = new ArrayList<>();
    for (final Header header : headers) {
      stored.add(
          StoredHeader.newBuilder()
              .setKey(header.key())
              .setValue(header.value() == null ? null : ByteBuffer.wrap(header.value()))
              .build());
    }
    return stored;
  }

  private static ByteBuffer wrap(final byte[] bytes) {
    return bytes == null ? null : ByteBuffer.wrap(bytes);
  }

  static byte[] bytes(final ByteBuffer buffer) {
    final byte[] bytes = new byte[buffer.remaining()];
    buffer.duplicate().get(bytes);
    return bytes;
  }
}
