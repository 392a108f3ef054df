package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * An application that was stopped at work by an earlier release is started by this one, on a
 * machine that has nothing of it: all that it knows is in the changelogs.
 *
 * @see ChangelogRecorder how the changelogs were recorded, and with what requests
 */
class RestoredChangelogTest {
  private static final Path FORMATS =
      Path.of(
          System.getProperty("sarathi.home", ".."), "processor/src/test/resources/stored-format");

  @ParameterizedTest
  @ValueSource(strings = "v1")
  void shouldGoOnWithWhatAnEarlierReleaseLeft(final String format, @TempDir final Path directory)
      throws Exception {
    try (DevelopmentBroker broker =
        DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")))) {
      // given
      final String servers = broker.bootstrapServers();
      createTopics(servers);
      sendChangelogs(servers, Files.readAllLines(FORMATS.resolve(format + ".jsonl")));
      final Map<String, Object> properties = new HashMap<>();
      properties.put("bootstrap.servers", servers);
      properties.put("application.id", "restored");
      properties.put("schema.registry.url", "mock://tests");
      properties.put("state.dir", directory.resolve("state").toString());
      properties.put("sarathi.model", Stories.MODEL.toString());
      properties.put("sarathi.cpu.threads", "1");
      // The finished ones are as old as the recording.
      properties.put("sarathi.dedup.retention.ms", Duration.ofDays(7_300).toMillis());
      // Numerics of another version are another model.
      properties.put("sarathi.on.model.change", "continue");

      // when
      try (Application application = Application.start(properties);
          TokenLog log = new TokenLog(servers, "tokens");
          Oracle oracle = new Oracle()) {
        final int unfinished = ChangelogRecorder.halfDone().size() + 1;
        log.awaitTerminals(unfinished, Duration.ofSeconds(120));

        // then: what was half done goes on behind its last token
        for (final PromptRequest request : ChangelogRecorder.halfDone()) {
          assertResumed(request, log, oracle);
        }
        // and what had waited is generated whole
        assertThat(log.of("waiting").getLast().getFinishReason()).contains(FinishReason.LENGTH);
        assertThat(log.of("waiting").stream().mapToInt(r -> r.getTokenIds().size()).sum())
            .isEqualTo(2 * 30);
        assertThat(log.attempts("waiting")).isEqualTo(1);

        // when: requests come again that had been finished, or rejected, and a new one
        Prompts.send(servers, "prompts", ChangelogRecorder.finished().subList(0, 1));
        Prompts.send(servers, "prompts", ChangelogRecorder.halfDone());
        final PromptRequest last = Stories.ofLength("last", 20, 5);
        Prompts.send(servers, "prompts", List.of(last));
        log.awaitTerminals(unfinished + 1, Duration.ofSeconds(120));

        // then they are known
        assertThat(log.of("finished")).isEmpty();
        log.assertExactlyOnce("last", oracle.answers(last));
        assertThat(application.isRunning()).isTrue();
      }
    }
  }

  private static void assertResumed(
      final PromptRequest request, final TokenLog log, final Oracle oracle) {
    final String id = request.getId().orElseThrow();
    final List<TokenRecord> records = log.of(id);
    assertThat(records).as(id).isNotEmpty().allMatch(record -> record.getAttempt() == 2);
    assertThat(records.stream().filter(TokenRecord::getLast)).containsExactly(records.getLast());
    if (records.getLast().getPreviousFingerprint().isPresent()) {
      return; // Numerics have changed since; the oracle for the first tokens is gone.
    }
    final List<Oracle.Answer> answers = oracle.answers(asText(request));
    for (int choice = 0; choice < answers.size(); choice++) {
      final int number = choice;
      final List<TokenRecord> rest =
          records.stream().filter(record -> record.getChoice() == number).toList();
      if (rest.isEmpty()) {
        continue; // It had ended before.
      }
      final int from = rest.getFirst().getIndex();
      assertThat(from).as("index in %s", id).isGreaterThanOrEqualTo(1);
      final List<Integer> tokens = new ArrayList<>();
      rest.forEach(record -> tokens.addAll(record.getTokenIds()));
      final List<Integer> all = answers.get(choice).tokens();
      assertThat(tokens).as("%s#%d", id, choice).isEqualTo(all.subList(from, all.size()));
    }
    assertThat(records.stream().map(TokenRecord::getChoice).distinct().count())
        .as("choices that went on, of %s", id)
        .isBetween(1L, request.getN() == 1 ? 1L : request.getN() - 1L);
  }

  /** A chat as the model's template writes it down. */
  private static PromptRequest asText(final PromptRequest request) {
    return request.getMessages().isEmpty()
        ? request
        : PromptRequest.newBuilder(request).setMessages(null).setPrompt("Once upon a time").build();
  }

  private static void createTopics(final String servers) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", servers))) {
      admin
          .createTopics(
              Stream.of("prompts", "tokens").map(name -> new NewTopic(name, 1, (short) 1)).toList())
          .all()
          .get();
      admin
          .createTopics(
              ChangelogRecorder.STORES.stream()
                  .map(
                      store ->
                          new NewTopic(changelog(store), 1, (short) 1)
                              .configs(Map.of("cleanup.policy", "compact")))
                  .toList())
          .all()
          .get();
    }
  }

  private static void sendChangelogs(final String servers, final List<String> lines)
      throws IOException {
    final ObjectMapper json = new ObjectMapper();
    try (Producer<byte[], byte[]> producer =
        new KafkaProducer<>(
            Map.of("bootstrap.servers", servers),
            new ByteArraySerializer(),
            new ByteArraySerializer())) {
      for (final String line : lines) {
        final JsonNode record = json.readTree(line);
        producer.send(
            new ProducerRecord<>(
                changelog(record.get("store").asText()),
                record.get("key").binaryValue(),
                record.get("value").binaryValue()));
      }
    }
  }

  private static String changelog(final String store) {
    return "restored-generate-%s-changelog".formatted(store);
  }
}
