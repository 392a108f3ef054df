package dev.sarathi.tests;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.schemas.ChatMessage;
import dev.sarathi.schemas.Priority;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.Sampling;
import dev.sarathi.schemas.TokenBias;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Writes down what an application leaves in its changelogs when it is stopped at work: the fixtures
 * of a stored format. To be run once with the code that writes the format, before a release that
 * writes another:
 *
 * <pre>java -cp TEST-CLASSPATH dev.sarathi.tests.ChangelogRecorder DIRECTORY changelog.jsonl</pre>
 *
 * A line is a record, in order: the store, and key and value in base64.
 */
final class ChangelogRecorder {
  private static final String APPLICATION = "recorded";
  static final List<String> STORES = List.of("requests", "progress", "identities", "finished");
  private static final Duration PATIENCE = Duration.ofSeconds(240);

  private ChangelogRecorder() {}

  /** Two that end. */
  static List<PromptRequest> finished() {
    return List.of(Stories.ofLength("finished", 20, 5), invalid());
  }

  private static PromptRequest invalid() {
    return PromptRequest.newBuilder(Stories.ofLength("rejected", 20, 5)).setMaxTokens(0).build();
  }

  /** Those that are half done, one of each kind of prompt, result and progress. */
  static List<PromptRequest> halfDone() {
    return List.of(
        Stories.sampled("tokens", 40, 800),
        PromptRequest.newBuilder(Stories.ofLength("text", 20, 800))
            .setTokenIds(null)
            .setPrompt("Once upon a time")
            .build(),
        PromptRequest.newBuilder(Stories.ofLength("chat", 20, 800))
            .setTokenIds(null)
            .setMessages(
                List.of(
                    ChatMessage.newBuilder().setRole("system").setContent("Once upon").build(),
                    ChatMessage.newBuilder().setRole("user").setContent(" a time\n").build()))
            .build(),
        PromptRequest.newBuilder(Stories.ofLength("logprobs", 20, 800))
            .setLogprobs(2)
            .setPromptLogprobs(1)
            .build(),
        // Of eight stories some end before the others.
        PromptRequest.newBuilder(Stories.sampled("choices", 40, 800))
            .setN(8)
            .setStop(List.of("!"))
            .build());
  }

  /** One that waits, in which each field of a request is set. */
  static PromptRequest waiting() {
    return PromptRequest.newBuilder(Stories.ofLength("waiting", 60, 30))
        .setSampling(
            Sampling.newBuilder()
                .setTemperature(0.75)
                .setTopK(40)
                .setTopP(0.9375)
                .setMinP(0.03125)
                .setRepetitionPenalty(1.125)
                .setPresencePenalty(0.25)
                .setFrequencyPenalty(0.125)
                .setLogitBias(List.of(TokenBias.newBuilder().setTokenId(300).setBias(-2.5).build()))
                .build())
        .setN(2)
        .setStop(List.of("The End", "THE END"))
        .setStopTokenIds(List.of(7, 9))
        .setLogprobs(1)
        .setPromptLogprobs(1)
        .setTruncatePromptTokens(50)
        .setSeed(12345L)
        .setPriority(Priority.BULK)
        .setDeadlineMs(Duration.ofDays(36_500).toMillis())
        .setTenant("somebody")
        .build();
  }

  public static void main(final String[] arguments) throws IOException {
    final Path directory = Path.of(arguments[0]);
    try (DevelopmentBroker broker =
        DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")))) {
      final String servers = broker.bootstrapServers();
      final Map<String, Object> properties = new HashMap<>();
      properties.put("bootstrap.servers", servers);
      properties.put("application.id", APPLICATION);
      properties.put("schema.registry.url", "mock://tests");
      properties.put("state.dir", directory.resolve("state").toString());
      properties.put("sarathi.model", Stories.MODEL.toString());
      properties.put("sarathi.cpu.threads", "1");
      properties.put("sarathi.topics.partitions", 1);
      properties.put("sarathi.engine.window", halfDone().size());
      try (Application _ = Application.start(properties);
          TokenLog log = new TokenLog(servers, "tokens")) {
        Prompts.send(servers, "prompts", finished());
        log.awaitTerminals(finished().size(), PATIENCE);
        final List<PromptRequest> single = halfDone().subList(0, halfDone().size() - 1);
        Prompts.send(servers, "prompts", single);
        await(log, () -> single.stream().allMatch(request -> hasFullChunk(request, log)));
        Prompts.send(servers, "prompts", List.of(halfDone().getLast(), waiting()));
        await(log, () -> hasEndedChoice(halfDone().getLast(), log));
      }
      Files.write(Path.of(arguments[1]), lines(servers));
    }
  }

  private static void await(final TokenLog log, final BooleanSupplier condition) {
    final long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > deadline) {
        throw new IllegalStateException("not half done: " + log.tokens() + " tokens");
      }
      log.poll();
    }
  }

  private static boolean hasFullChunk(final PromptRequest request, final TokenLog log) {
    return log.of(request.getId().orElseThrow()).stream()
            .mapToInt(record -> record.getTokenIds().size())
            .sum()
        > 70;
  }

  private static boolean hasEndedChoice(final PromptRequest request, final TokenLog log) {
    return log.of(request.getId().orElseThrow()).stream()
        .anyMatch(record -> record.getFinishReason().isPresent());
  }

  private static List<String> lines(final String servers) throws IOException {
    final ObjectMapper json = new ObjectMapper();
    final List<String> lines = new ArrayList<>();
    for (final String store : STORES) {
      final TopicPartition changelog =
          new TopicPartition("%s-generate-%s-changelog".formatted(APPLICATION, store), 0);
      // By key as unsigned bytes, the last value of each: what compaction would keep.
      final Map<byte[], byte[]> last = new TreeMap<>(Arrays::compareUnsigned);
      try (Consumer<byte[], byte[]> consumer =
          new KafkaConsumer<>(
              Map.of("bootstrap.servers", servers, "isolation.level", "read_committed"),
              new ByteArrayDeserializer(),
              new ByteArrayDeserializer())) {
        consumer.assign(List.of(changelog));
        consumer.seekToBeginning(consumer.assignment());
        final long end = consumer.endOffsets(List.of(changelog)).get(changelog);
        while (consumer.position(changelog) < end) {
          for (final ConsumerRecord<byte[], byte[]> record :
              consumer.poll(Duration.ofMillis(100))) {
            last.put(record.key(), record.value());
          }
        }
      }
      for (final Map.Entry<byte[], byte[]> entry : last.entrySet()) {
        if (entry.getValue() != null) {
          final Map<String, Object> line = new LinkedHashMap<>();
          line.put("store", store);
          line.put("key", entry.getKey());
          line.put("value", entry.getValue());
          lines.add(json.writeValueAsString(line));
        }
      }
    }
    return lines;
  }
}
