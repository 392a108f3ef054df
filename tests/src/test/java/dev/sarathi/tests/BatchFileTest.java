package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
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
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * From files to files: both connectors in a real worker, the application, a broker and a schema
 * registry between.
 */
class BatchFileTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Duration LIMIT = Duration.ofMinutes(4);
  private static final Map<String, Integer> LINES =
      Map.of("tales.jsonl", 2000, "questions.jsonl", 1800, "rest.jsonl", 1200);
  private static final int TOTAL = 5000;
  private static final int MALFORMED = 20;

  /** A file's lines as they should be answered, by {@code custom_id}. */
  private record Expected(List<String> succeeded, List<String> failed) {}

  @Test
  @Tag("long")
  void shouldAnswerEveryLineOnceInTheRightFileThoughTheWorkerIsKilledTwice(
      @TempDir final Path directory) throws Exception {
    // given
    final Path input = Files.createDirectory(directory.resolve("in"));
    final Path output = directory.resolve("out");
    final Map<String, Expected> expected = new HashMap<>();
    for (final Map.Entry<String, Integer> file : LINES.entrySet()) {
      expected.put(file.getKey(), write(input.resolve(file.getKey()), file.getValue()));
    }
    assertThat(expected.values().stream().mapToInt(e -> e.failed().size()).sum())
        .isEqualTo(MALFORMED);
    try (DevelopmentBroker broker =
            DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")));
        RegistryProcess registry = RegistryProcess.start(directory.resolve("registry"));
        Application _ = application(directory, broker.bootstrapServers(), registry.url());
        ConnectWorker worker =
            ConnectWorker.start(
                directory.resolve("connect"), broker.bootstrapServers(), registry.url())) {
      worker.configure(
          "prompts-in",
          Map.of(
              "connector.class", "dev.sarathi.connect.BatchFileSourceConnector",
              "tasks.max", "2",
              "input.path", input.toString(),
              "poll.lines", "20"));
      worker.configure(
          "results-out",
          Map.of(
              "connector.class", "dev.sarathi.connect.BatchFileSinkConnector",
              "tasks.max", "2",
              "topics", "completions",
              "output.directory", output.toString(),
              "flush.interval.ms", "500"));

      // when: once while files are read, once while results are written
      await(worker, () -> count(broker, "prompts") > 300);
      assertThat(files(input, "")).as("files being read").hasSize(LINES.size());
      worker.killAndRestart();
      await(worker, () -> answered(output) > TOTAL / 3);
      assertThat(answered(output)).as("lines answered before the kill").isLessThan(TOTAL);
      worker.killAndRestart();
      await(worker, () -> completed(output) == LINES.size());

      // then
      for (final Map.Entry<String, Expected> file : expected.entrySet()) {
        final String stem = file.getKey().replace(".jsonl", "-");
        assertThat(customIds(output, stem, ".output.jsonl"))
            .as(file.getKey())
            .containsExactlyElementsOf(file.getValue().succeeded());
        assertThat(customIds(output, stem, ".errors.jsonl"))
            .as(file.getKey())
            .containsExactlyElementsOf(file.getValue().failed());
      }
      // and none was sent, generated or refused twice
      assertThat(keys(broker, "prompts")).hasSize(TOTAL - MALFORMED).doesNotHaveDuplicates();
      assertThat(keys(broker, "completions")).hasSize(TOTAL).doesNotHaveDuplicates();
      // and every schema is in the registry
      assertThat(registry.get("/subjects"))
          .contains("prompts-value", "completions-value", "jobs-value");
      // and the files are put away
      await(worker, () -> files(input, "").isEmpty());
      assertThat(files(input.resolve("finished"), "")).hasSize(LINES.size());
      final JsonNode plugins = worker.get("/connector-plugins");
      assertThat(plugins.findValuesAsText("class"))
          .contains(
              "dev.sarathi.connect.BatchFileSourceConnector",
              "dev.sarathi.connect.BatchFileSinkConnector");
    }
  }

  private static Application application(
      final Path directory, final String bootstrapServers, final String registry) {
    final Map<String, Object> properties = new HashMap<>();
    properties.put("bootstrap.servers", bootstrapServers);
    properties.put("schema.registry.url", registry);
    properties.put("application.id", "batch");
    properties.put("state.dir", directory.resolve("state").toString());
    properties.put("sarathi.model", Stories.MODEL.toString());
    properties.put("sarathi.cpu.threads", 1);
    properties.put("sarathi.preset", "throughput");
    properties.put("sarathi.tokens.topic", "");
    properties.put("sarathi.topics.partitions", 3);
    return Application.start(properties);
  }

  /** Every so often a malformed line: of half of them the {@code custom_id} can be made out. */
  private static Expected write(final Path file, final int lines) throws IOException {
    final List<String> content = new ArrayList<>();
    final Expected expected = new Expected(new ArrayList<>(), new ArrayList<>());
    final String name = file.getFileName().toString().replace(".jsonl", "");
    for (int i = 0; i < lines; i++) {
      final String customId = name + "-" + i;
      if (i % 250 == 100) {
        final boolean named = i % 500 == 100;
        content.add(named ? line(customId, "{\"n\":\"many\"}") : "{\"custom_id\": " + i);
        expected.failed().add(named ? customId : "null");
      } else {
        content.add(line(customId, "{\"prompt\":\"Once upon a time\",\"max_tokens\":3}"));
        expected.succeeded().add(customId);
      }
    }
    Files.write(file, content);
    return expected;
  }

  private static String line(final String customId, final String body) {
    return "{\"custom_id\":\"%s\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":%s}"
        .formatted(customId, body);
  }

  private static void await(final ConnectWorker worker, final Callable<Boolean> condition)
      throws Exception {
    final long deadline = System.nanoTime() + LIMIT.toNanos();
    while (!condition.call()) {
      assertThat(System.nanoTime()).as(worker::log).isLessThan(deadline);
      Thread.sleep(50);
    }
  }

  private static long answered(final Path output) throws IOException {
    long answered = 0;
    for (final Path manifest : files(output, ".manifest.json")) {
      answered += JSON.readTree(manifest.toFile()).get("answered").asLong();
    }
    return answered;
  }

  private static int completed(final Path output) throws IOException {
    int completed = 0;
    for (final Path manifest : files(output, ".manifest.json")) {
      completed +=
          JSON.readTree(manifest.toFile()).get("status").asText().equals("completed") ? 1 : 0;
    }
    return completed;
  }

  private static List<String> customIds(final Path output, final String prefix, final String suffix)
      throws IOException {
    final Path file =
        files(output, suffix).stream()
            .filter(path -> path.getFileName().toString().startsWith(prefix))
            .findFirst()
            .orElseThrow();
    final List<String> ids = new ArrayList<>();
    for (final String line : Files.readAllLines(file)) {
      ids.add(JSON.readTree(line).get("custom_id").asText());
    }
    return ids;
  }

  private static List<Path> files(final Path directory, final String suffix) throws IOException {
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(directory)) {
      return files
          .filter(Files::isRegularFile)
          .filter(file -> !file.getFileName().toString().startsWith("."))
          .filter(file -> file.getFileName().toString().endsWith(suffix))
          .toList();
    }
  }

  private static long count(final DevelopmentBroker broker, final String topic) {
    try (Consumer<String, byte[]> consumer = consumer(broker, topic)) {
      return consumer.endOffsets(consumer.assignment()).values().stream()
          .mapToLong(Long::longValue)
          .sum();
    }
  }

  /** The keys of all committed records. */
  private static List<String> keys(final DevelopmentBroker broker, final String topic) {
    final List<String> keys = new ArrayList<>();
    try (Consumer<String, byte[]> consumer = consumer(broker, topic)) {
      final Map<TopicPartition, Long> ends = consumer.endOffsets(consumer.assignment());
      while (ends.entrySet().stream().anyMatch(e -> consumer.position(e.getKey()) < e.getValue())) {
        consumer.poll(Duration.ofMillis(100)).forEach(record -> keys.add(record.key()));
      }
    }
    return keys;
  }

  private static Consumer<String, byte[]> consumer(
      final DevelopmentBroker broker, final String topic) {
    final Consumer<String, byte[]> consumer =
        new KafkaConsumer<>(
            Map.of(
                "bootstrap.servers",
                broker.bootstrapServers(),
                "isolation.level",
                "read_committed"),
            new StringDeserializer(),
            new ByteArrayDeserializer());
    consumer.assign(
        consumer.partitionsFor(topic).stream()
            .map(partition -> new TopicPartition(topic, partition.partition()))
            .toList());
    consumer.seekToBeginning(consumer.assignment());
    return consumer;
  }
}
