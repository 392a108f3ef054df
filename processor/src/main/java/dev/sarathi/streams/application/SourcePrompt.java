package dev.sarathi.streams.application;

import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.InvalidRequestException;
import dev.sarathi.runtime.Priority;
import dev.sarathi.runtime.Prompt;
import dev.sarathi.runtime.Sampling;
import dev.sarathi.schemas.PromptRequest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.stream.Stream;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/**
 * A decoded record of the prompts topic.
 *
 * @param id the request's identity
 * @param request what was asked for
 * @param timestamp the record's timestamp
 * @param original the record's value as it came; not carried
 */
record SourcePrompt(String id, PromptRequest request, Instant timestamp, byte[] original) {
  private static final byte[] NOT_CARRIED = {};

  /**
   * What the results of a resumed request need: all but the prompt, which is stored elsewhere, and
   * the original. With a compiled-in schema: restoring needs no registry.
   */
  static Serde<SourcePrompt> carriedSerde() {
    return Serdes.serdeFrom(
        (topic, prompt) -> prompt.encode(), (topic, bytes) -> SourcePrompt.decode(bytes));
  }

  /**
   * The id of a request that is named by its record's key: its text, or, of bytes that are none,
   * the hexadecimal digits. Replacing what is no text would give different keys one id.
   */
  static String idOf(final byte[] key) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(key)).toString();
    } catch (final CharacterCodingException e) {
      return HexFormat.of().formatHex(key);
    }
  }

  private byte[] encode() {
    try {
      final ByteBuffer buffer =
          PromptRequest.newBuilder(request)
              .setId(id)
              .setPrompt(null)
              .setTokenIds(null)
              .setMessages(null)
              .build()
              .toByteBuffer();
      final byte[] bytes = new byte[buffer.remaining()];
      buffer.get(bytes);
      return bytes;
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static SourcePrompt decode(final byte[] bytes) {
    try {
      final PromptRequest request = PromptRequest.fromByteBuffer(ByteBuffer.wrap(bytes));
      return new SourcePrompt(request.getId().orElse(""), request, Instant.EPOCH, NOT_CARRIED);
    } catch (final IOException e) {
      throw new UncheckedIOException("a carried prompt of " + bytes.length + " bytes is broken", e);
    }
  }

  /**
   * The request for the engine.
   *
   * @param model the name of the model served here
   * @param defaultMaxTokens for a request that does not say; none for what the context holds
   * @throws InvalidRequestException naming the field
   */
  GenerationRequest toGenerationRequest(final String model, final OptionalInt defaultMaxTokens) {
    request
        .getModel()
        .filter(wanted -> !wanted.equals(model))
        .ifPresent(
            wanted -> {
              throw new InvalidRequestException(
                  "model", wanted + " is not served here; valid is " + model);
            });
    return new GenerationRequest(
        id,
        prompt(),
        new Sampling(
            (float) request.getSampling().getTemperature(),
            request.getSampling().getTopK(),
            (float) request.getSampling().getTopP(),
            request.getSeed().map(OptionalLong::of).orElseGet(OptionalLong::empty)),
        request.getMaxTokens().map(OptionalInt::of).orElse(defaultMaxTokens),
        request.getStop(),
        request.getIgnoreEos(),
        switch (request.getPriority()) {
          case INTERACTIVE -> Priority.INTERACTIVE;
          case BULK -> Priority.BULK;
        },
        request.getDeadlineMs().map(this::deadline));
  }

  private Instant deadline(final long millis) {
    if (millis < 0) {
      throw new InvalidRequestException("deadline_ms", millis + " is negative");
    }
    return timestamp.plusMillis(millis);
  }

  private Prompt prompt() {
    if (request.getMessages().isPresent()) {
      throw new InvalidRequestException(
          "messages", "need chat templates, which this version lacks; send prompt or token_ids");
    }
    final List<Prompt> given =
        Stream.concat(
                request.getPrompt().<Prompt>map(Prompt.Text::new).stream(),
                request.getTokenIds().<Prompt>map(SourcePrompt::tokens).stream())
            .toList();
    if (given.size() != 1) {
      throw new InvalidRequestException(
          "prompt", given.size() + " of prompt and token_ids are set; valid is exactly one");
    }
    return given.getFirst();
  }

  private static Prompt.Tokens tokens(final List<Integer> ids) {
    return new Prompt.Tokens(ids.stream().mapToInt(Integer::intValue).toArray());
  }
}
