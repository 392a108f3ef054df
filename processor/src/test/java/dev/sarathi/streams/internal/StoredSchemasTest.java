package dev.sarathi.streams.internal;

import static org.apache.avro.SchemaCompatibility.SchemaCompatibilityType.COMPATIBLE;
import static org.apache.avro.SchemaCompatibility.checkReaderWriterCompatibility;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.Priority;
import dev.sarathi.streams.internal.stored.StoredAttempt;
import dev.sarathi.streams.internal.stored.StoredChunk;
import dev.sarathi.streams.internal.stored.StoredIdentity;
import dev.sarathi.streams.internal.stored.StoredRequest;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.avro.Schema;
import org.apache.avro.SchemaFormatter;
import org.apache.avro.SchemaNormalization;
import org.apache.kafka.common.utils.Bytes;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What earlier versions have stored is read by this one. */
class StoredSchemasTest {
  /** The changelogs of an application of the first release, stopped at work. */
  private static final Map<String, Map<Bytes, byte[]>> V1 = new HashMap<>();

  @BeforeAll
  static void read() throws IOException {
    try (InputStream lines =
        StoredSchemasTest.class.getResourceAsStream("/stored-format/v1.jsonl")) {
      for (final String line :
          new String(lines.readAllBytes(), StandardCharsets.UTF_8).lines().toList()) {
        final JsonNode record = new ObjectMapper().readTree(line);
        V1.computeIfAbsent(record.get("store").asText(), s -> new LinkedHashMap<>())
            .put(Bytes.wrap(record.get("key").binaryValue()), record.get("value").binaryValue());
      }
    }
    StoredSchemas.load();
  }

  static Stream<Named<Schema>> stored() {
    return StoredSchemas.DECODERS.keySet().stream()
        .map(schema -> Named.of(schema.getName(), schema));
  }

  @ParameterizedTest
  @MethodSource("stored")
  void shouldKeepEverySchemaThatWasWritten(final Schema current) {
    final List<Schema> versions = StoredSchemas.versions(current.getName());

    assertThat(versions).as("versions of %s", current.getName()).isNotEmpty();
    assertThat(SchemaNormalization.parsingFingerprint64(current))
        .as(
            "%s differs from the newest version in its history. If the change is meant, leave the"
                + " earlier versions as they are, and add"
                + " processor/src/main/resources/dev/sarathi/streams/internal/stored/%s/v%d.avsc"
                + " with:%n%s",
            current.getName(),
            current.getName(),
            versions.size() + 1,
            SchemaFormatter.format("json/pretty", current))
        .isEqualTo(SchemaNormalization.parsingFingerprint64(versions.getLast()));
  }

  @ParameterizedTest
  @MethodSource("stored")
  void shouldReadEverySchemaThatWasWritten(final Schema current) {
    assertThat(StoredSchemas.versions(current.getName()))
        .allSatisfy(
            version ->
                assertThat(checkReaderWriterCompatibility(current, version).getType())
                    .as("%s reads %s", current, version)
                    .isEqualTo(COMPATIBLE));
  }

  @Test
  void shouldReadRequestsOfTheFirstRelease() {
    final Map<String, StoredRequest> requests = new HashMap<>();
    V1.get("requests")
        .values()
        .forEach(
            bytes -> {
              final StoredRequest request =
                  GenerationStores.decode(bytes, StoredRequest::fromByteBuffer);
              requests.put(request.getId(), request);
            });

    assertThat(requests)
        .containsOnlyKeys("tokens", "text", "chat", "logprobs", "choices", "waiting");
    final GenerationRequest waiting = Requests.requestOf(requests.get("waiting"));
    assertThat(waiting.truncatePrompt()).hasValue(50);
    assertThat(waiting.sampling().temperature()).isEqualTo(0.75f);
    assertThat(waiting.sampling().topK()).isEqualTo(40);
    assertThat(waiting.sampling().topP()).isEqualTo(0.9375f);
    assertThat(waiting.sampling().minP()).isEqualTo(0.03125f);
    assertThat(waiting.sampling().repetitionPenalty()).isEqualTo(1.125f);
    assertThat(waiting.sampling().presencePenalty()).isEqualTo(0.25f);
    assertThat(waiting.sampling().frequencyPenalty()).isEqualTo(0.125f);
    assertThat(waiting.sampling().logitBias()).isEqualTo(Map.of(300, -2.5f));
    assertThat(waiting.sampling().seed()).hasValue(12345L);
    assertThat(waiting.choices()).isEqualTo(2);
    assertThat(waiting.logprobs()).hasValue(1);
    assertThat(waiting.promptLogprobs()).hasValue(1);
    assertThat(waiting.maxTokens()).hasValue(30);
    assertThat(waiting.stop()).containsExactly("The End", "THE END");
    assertThat(waiting.stopTokens()).containsExactlyInAnyOrder(7, 9);
    assertThat(waiting.ignoreEos()).isTrue();
    assertThat(waiting.priority()).isEqualTo(Priority.BULK);
    assertThat(waiting.tenant()).isEqualTo("somebody");
    assertThat(waiting.deadline()).isPresent();
    assertThat(requests.values())
        .allSatisfy(request -> assertThat(request.getTopic()).isEqualTo("prompts"));
  }

  @Test
  void shouldReadIdentitiesOfTheFirstReleaseAndTellRepetitionsByThem() {
    final Map<Bytes, byte[]> identities = V1.get("identities");

    assertThat(identities).hasSameSizeAs(V1.get("requests"));
    V1.get("requests")
        .forEach(
            (position, bytes) -> {
              final StoredRequest request =
                  GenerationStores.decode(bytes, StoredRequest::fromByteBuffer);
              final StoredIdentity identity =
                  GenerationStores.decode(
                      identities.get(Bytes.wrap(request.getId().getBytes(StandardCharsets.UTF_8))),
                      StoredIdentity::fromByteBuffer);
              assertThat(Requests.bytes(identity.getPosition())).isEqualTo(position.get());
              assertThat(Requests.bytes(identity.getDigest())).isEqualTo(Requests.digest(request));
            });
  }

  @Test
  void shouldReadProgressOfTheFirstRelease() {
    V1.get("requests")
        .forEach(
            (position, bytes) -> {
              final StoredRequest request =
                  GenerationStores.decode(bytes, StoredRequest::fromByteBuffer);
              final byte[] attempt = V1.get("progress").get(Position.attemptKey(position));
              if (request.getId().equals("waiting")) {
                assertThat(attempt).isNull();
                return;
              }
              final StoredAttempt attempts =
                  GenerationStores.decode(attempt, StoredAttempt::fromByteBuffer);
              assertThat(attempts.getAttempts()).isEqualTo(1);
              assertThat(attempts.getWithoutProgress()).isZero();
              assertThat(attempts.getFingerprint()).isPresent();
              final Transcript transcript = new Transcript(request.getContent().getChoices());
              final List<Integer> prompt = new ArrayList<>();
              progressOf(
                  position,
                  (choice, chunk, value) -> {
                    if (choice == Position.PROMPT) {
                      prompt.addAll(value.getTokens());
                      assertThat(value.getLogprobs()).hasSameSizeAs(value.getTokens());
                    }
                    transcript.add(choice, value);
                  });
              final List<Emitted> choices = transcript.choices();
              if (request.getId().equals("choices")) {
                assertThat(choices).anyMatch(Emitted::hasEnded).anyMatch(c -> !c.hasEnded());
              } else {
                assertThat(choices)
                    .singleElement()
                    .satisfies(
                        choice -> {
                          assertThat(choice.size()).isGreaterThan(ActiveRequest.CHUNK_TOKENS);
                          assertThat(choice.text()).isNotEmpty();
                          assertThat(choice.hasEnded()).isFalse();
                          assertThat(choice.logprobs())
                              .hasSize(request.getId().equals("logprobs") ? choice.size() : 0);
                        });
              }
              assertThat(prompt.isEmpty()).isEqualTo(!request.getId().equals("logprobs"));
            });
  }

  private static void progressOf(final Bytes position, final GenerationStores.Chunks reader) {
    final Bytes first = Position.chunkKey(position, Position.PROMPT, 0);
    V1.get("progress")
        .forEach(
            (key, bytes) -> {
              if (key.compareTo(first) >= 0 && key.compareTo(Position.endKey(position)) < 0) {
                reader.put(
                    Position.choiceOf(position, key),
                    Position.chunkOf(position, key),
                    GenerationStores.decode(bytes, StoredChunk::fromByteBuffer));
              }
            });
  }

  @Test
  void shouldReadTheFinishedIdsOfTheFirstRelease() {
    final List<String> ids = new ArrayList<>();
    V1.get("finished")
        .forEach(
            (key, digest) -> {
              // Behind the id: time and sequence number, as Kafka's window stores have it.
              final byte[] id =
                  Arrays.copyOf(key.get(), key.get().length - Long.BYTES - Integer.BYTES);
              ids.add(new String(id, StandardCharsets.UTF_8));
              assertThat(digest).hasSize(id.length == 0 ? 0 : 16);
            });

    assertThat(ids).contains("finished", "rejected");
  }
}
