package dev.sarathi.streams.application;

import dev.sarathi.runtime.ChatMessage;
import dev.sarathi.runtime.Constraint;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.InvalidRequestException;
import dev.sarathi.runtime.Priority;
import dev.sarathi.runtime.Prompt;
import dev.sarathi.runtime.Sampling;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.TokenBias;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.stream.Stream;

/** Reads requests of the data contract. */
public final class PromptRequests {
  private PromptRequests() {}

  /**
   * The identity of a request: its field, else its record's key, else the record's place.
   *
   * @param key the record's; may be null
   */
  public static String idOf(
      final PromptRequest request,
      final byte[] key,
      final String topic,
      final int partition,
      final long offset) {
    return request
        .getId()
        .filter(id -> !id.isEmpty())
        .orElseGet(
            () ->
                key == null || key.length == 0
                    ? "%s-%d-%d".formatted(topic, partition, offset)
                    : idOf(key));
  }

  /**
   * The id of a request that is named by its record's key: its text, or, of bytes that are none,
   * the hexadecimal digits. Replacing what is no text would give different keys one id.
   */
  public static String idOf(final byte[] key) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(key)).toString();
    } catch (final CharacterCodingException e) {
      return HexFormat.of().formatHex(key);
    }
  }

  /**
   * The request for the engine.
   *
   * @param id the request's identity
   * @param timestamp from when its deadline counts
   * @throws InvalidRequestException naming the field
   */
  public static GenerationRequest toGenerationRequest(
      final String id, final PromptRequest request, final Instant timestamp) {
    return new GenerationRequest(
        id,
        prompt(request),
        optional(request.getTruncatePromptTokens()),
        sampling(request),
        request.getN(),
        optional(request.getLogprobs()),
        optional(request.getPromptLogprobs()),
        optional(request.getMaxTokens()),
        request.getStop(),
        Set.copyOf(request.getStopTokenIds()),
        request.getIgnoreEos(),
        switch (request.getPriority()) {
          case INTERACTIVE -> Priority.INTERACTIVE;
          case BULK -> Priority.BULK;
        },
        request.getTenant(),
        request.getDeadlineMs().map(millis -> deadline(timestamp, millis)),
        request.getConstraint().map(PromptRequests::constraint));
  }

  private static Constraint constraint(final dev.sarathi.schemas.Constraint constraint) {
    if (constraint.getOneOf().isEmpty() != constraint.getJsonSchema().isPresent()) {
      throw new InvalidRequestException(
          "constraint",
          constraint.getJsonSchema().isPresent()
              ? "has both one_of and json_schema; valid is exactly one"
              : "has neither one_of nor json_schema; valid is exactly one");
    }
    return constraint
        .getJsonSchema()
        .map(Constraint::jsonSchema)
        .orElseGet(() -> Constraint.oneOf(constraint.getOneOf()));
  }

  private static Prompt prompt(final PromptRequest request) {
    final List<Prompt> given =
        Stream.of(
                request.getPrompt().<Prompt>map(Prompt.Text::new),
                request.getTokenIds().<Prompt>map(PromptRequests::tokens),
                request.getMessages().<Prompt>map(PromptRequests::chat))
            .flatMap(Optional::stream)
            .toList();
    if (given.size() != 1) {
      throw new InvalidRequestException(
          "prompt",
          given.size() + " of prompt, token_ids and messages are set; valid is exactly one");
    }
    return given.getFirst();
  }

  private static Prompt.Tokens tokens(final List<Integer> ids) {
    return new Prompt.Tokens(ids.stream().mapToInt(Integer::intValue).toArray());
  }

  private static Prompt.Chat chat(final List<dev.sarathi.schemas.ChatMessage> messages) {
    return new Prompt.Chat(
        messages.stream()
            .map(message -> new ChatMessage(message.getRole(), message.getContent()))
            .toList());
  }

  private static Sampling sampling(final PromptRequest request) {
    final dev.sarathi.schemas.Sampling given = request.getSampling();
    return new Sampling(
        (float) given.getTemperature(),
        given.getTopK(),
        (float) given.getTopP(),
        (float) given.getMinP(),
        (float) given.getRepetitionPenalty(),
        (float) given.getPresencePenalty(),
        (float) given.getFrequencyPenalty(),
        logitBias(given.getLogitBias()),
        request.getSeed().map(OptionalLong::of).orElseGet(OptionalLong::empty));
  }

  private static Map<Integer, Float> logitBias(final List<TokenBias> given) {
    final Map<Integer, Float> biases = new HashMap<>();
    for (final TokenBias bias : given) {
      if (biases.put(bias.getTokenId(), (float) bias.getBias()) != null) {
        throw new InvalidRequestException(
            "logit_bias", "has token " + bias.getTokenId() + " more than once");
      }
    }
    return biases;
  }

  private static Instant deadline(final Instant timestamp, final long millis) {
    if (millis < 0) {
      throw new InvalidRequestException("deadline_ms", millis + " is negative");
    }
    return timestamp.plusMillis(millis);
  }

  private static OptionalInt optional(final Optional<Integer> value) {
    return value.map(OptionalInt::of).orElseGet(OptionalInt::empty);
  }
}
