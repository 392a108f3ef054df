package dev.sarathi.streams.application;

import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.InvalidRequestException;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.streams.Placed;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.apache.avro.Schema;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.processor.api.RecordMetadata;

/**
 * A decoded record of the prompts topic.
 *
 * @param id the request's identity
 * @param request what was asked for
 * @param timestamp the record's timestamp
 * @param original the record's value as it came; not carried
 * @param place where the record was read; not carried
 */
record SourcePrompt(
    String id,
    PromptRequest request,
    Instant timestamp,
    byte[] original,
    Optional<RecordMetadata> place)
    implements Placed {
  private static final byte[] NOT_CARRIED = {};

  static {
    // A request taken in by an earlier release was written with that one's version.
    versions().forEach(PromptRequest.getDecoder()::addSchema);
  }

  /** The contract's published versions, oldest first: {@code carried/PromptRequest/v1.avsc} … */
  static List<Schema> versions() {
    final List<Schema> versions = new ArrayList<>();
    while (true) {
      final String resource = "carried/PromptRequest/v%d.avsc".formatted(versions.size() + 1);
      try (InputStream version = SourcePrompt.class.getResourceAsStream(resource)) {
        if (version == null) {
          return versions;
        }
        versions.add(new Schema.Parser().parse(version));
      } catch (final IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /**
   * What the results of a resumed request need: all but the prompt, which is stored elsewhere, and
   * the original. With a compiled-in schema: restoring needs no registry.
   */
  static Serde<SourcePrompt> carriedSerde() {
    return Serdes.serdeFrom(
        (topic, prompt) -> prompt.encode(), (topic, bytes) -> SourcePrompt.decode(bytes));
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
      return new SourcePrompt(
          request.getId().orElse(""), request, Instant.EPOCH, NOT_CARRIED, Optional.empty());
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
    final GenerationRequest made = PromptRequests.toGenerationRequest(id, request, timestamp);
    return made.maxTokens().isEmpty() && defaultMaxTokens.isPresent()
        ? made.withMaxTokens(defaultMaxTokens.getAsInt())
        : made;
  }
}
