package dev.sarathi.connect;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.sarathi.schemas.ChatMessage;
import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.Priority;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.batch.BatchLine;
import dev.sarathi.schemas.batch.BatchRequest;
import dev.sarathi.schemas.batch.Endpoint;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.apache.kafka.common.metrics.PluginMetrics;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.source.ExactlyOnceSupport;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.source.SourceTaskContext;
import org.apache.kafka.connect.storage.OffsetStorageReader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

class BatchFileSourceTaskTest {
  @TempDir private Path directory;

  @Test
  void shouldMapEveryFieldThatABodyMayHave() throws Exception {
    // given
    write(
        "in.jsonl",
        """
        {"custom_id":"chat","method":"POST","url":"/v1/chat/completions","body":{"model":"storyteller",\
        "messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"Once "},\
        {"type":"text","text":"more"}]}],"max_tokens":9,"max_completion_tokens":7,"temperature":0.5,"top_p":0.9,"seed":42,\
        "stop":"\\n","n":3,"logprobs":true,"top_logprobs":2,"presence_penalty":0.1,"frequency_penalty":-0.1,\
        "logit_bias":{"5":-100}}}
        {"custom_id":"text","method":"POST","url":"/v1/completions","body":{"prompt":"Once","max_tokens":5,"logprobs":1,\
        "stop":["a","b"],"top_k":4,"min_p":0.1,"repetition_penalty":1.1,"ignore_eos":true,"stop_token_ids":[2],"seed":null}}
        {"custom_id":"tokens","method":"POST","url":"/v1/completions","body":{"prompt":[1,2,3]}}
        """);

    // when
    final List<PromptRequest> requests =
        new Worker(directory).drain().stream().map(BatchFileSourceTaskTest::request).toList();

    // then
    final PromptRequest chat = requests.get(0);
    assertThat(chat.getId().orElseThrow()).matches("[0-9a-f]{32}/1/chat/chat");
    assertThat(chat.getJobId().orElseThrow()).matches("[0-9a-f]{32}/3/in.jsonl");
    assertThat(chat.getModel()).contains("storyteller");
    assertThat(chat.getMessages())
        .contains(
            List.of(new ChatMessage("system", "Be brief."), new ChatMessage("user", "Once more")));
    assertThat(chat.getMaxTokens()).contains(7);
    assertThat(chat.getSampling().getTemperature()).isEqualTo(0.5);
    assertThat(chat.getSampling().getTopP()).isEqualTo(0.9);
    assertThat(chat.getSampling().getPresencePenalty()).isEqualTo(0.1);
    assertThat(chat.getSampling().getFrequencyPenalty()).isEqualTo(-0.1);
    assertThat(chat.getSampling().getLogitBias())
        .singleElement()
        .satisfies(bias -> assertThat(bias.getTokenId()).isEqualTo(5));
    assertThat(chat.getSeed()).contains(42L);
    assertThat(chat.getStop()).containsExactly("\n");
    assertThat(chat.getN()).isEqualTo(3);
    assertThat(chat.getLogprobs()).contains(2);
    assertThat(chat.getPriority()).isEqualTo(Priority.BULK);

    final PromptRequest text = requests.get(1);
    assertThat(text.getPrompt()).contains("Once");
    assertThat(text.getMaxTokens()).contains(5);
    assertThat(text.getLogprobs()).contains(1);
    assertThat(text.getStop()).containsExactly("a", "b");
    assertThat(text.getSampling().getTopK()).isEqualTo(4);
    assertThat(text.getSampling().getMinP()).isEqualTo(0.1);
    assertThat(text.getSampling().getRepetitionPenalty()).isEqualTo(1.1);
    assertThat(text.getIgnoreEos()).isTrue();
    assertThat(text.getStopTokenIds()).containsExactly(2);
    assertThat(text.getSeed()).isEmpty();

    assertThat(requests.get(2).getTokenIds()).contains(List.of(1, 2, 3));
    assertThat(requests.get(2).getMaxTokens()).isEmpty();
  }

  @Test
  void shouldAnswerMalformedLinesWithErrorsAndGoOn() throws Exception {
    // given
    final Map<String, String> malformed = new HashMap<>();
    malformed.put("{\"custom_id\":\"cut\",\"method\":\"POST\",\"url\"", "no JSON");
    malformed.put("[1]", "a JSON array");
    malformed.put("\u0000\u0001", "no JSON");
    malformed.put(line("", "/v1/completions", "{}"), "custom_id has 0 characters; valid are");
    malformed.put(prompt("x".repeat(513)), "custom_id has 513 characters; valid are 1 to 512");
    malformed.put("{\"custom_id\":7}", "custom_id is 7; valid is a text");
    malformed.put("{\"custom_id\":\"m\",\"method\":\"GET\"}", "method is 'GET'; valid is POST");
    malformed.put(line("u", "/v1/embeddings", "{}"), "url is '/v1/embeddings'; valid are");
    malformed.put(line("b", "/v1/completions", "7"), "body is 7; valid is an object");
    malformed.put(line("p", "/v1/completions", "{}"), "body.prompt is missing");
    malformed.put(
        line("pp", "/v1/completions", "{\"prompt\":[\"a\",\"b\"]}"),
        "body.prompt is [\"a\",\"b\"]");
    malformed.put(
        line("c", "/v1/chat/completions", "{\"messages\":[]}"), "body.messages is []; valid is");
    malformed.put(
        line(
            "i",
            "/v1/chat/completions",
            "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}"),
        "a part of type 'image_url'; valid is text");
    malformed.put(
        line("n", "/v1/completions", "{\"prompt\":\"a\",\"n\":1.5}"), "body.n is 1.5; valid is");
    malformed.put(
        line("l", "/v1/completions", "{\"prompt\":\"a\",\"max_tokens\":99999999999}"),
        "body.max_tokens is 99999999999; valid is a whole number of 32 bits");
    malformed.put(
        line("t", "/v1/completions", "{\"prompt\":\"a\",\"temperature\":\"hot\"}"),
        "body.temperature is \"hot\"; valid is a number");
    malformed.put(prompt("first"), "custom_id 'first' is that of an earlier line");
    malformed.put(
        line("long", "/v1/completions", "{\"prompt\":\"%s\"}".formatted("a".repeat(2000))),
        "more than 1024 bytes, the most that a line may have");
    final List<String> lines = new ArrayList<>(List.of(prompt("first")));
    lines.addAll(malformed.keySet());
    lines.add(prompt("last"));
    write("in.jsonl", String.join("\n", lines));

    // when
    final List<SourceRecord> records = new Worker(directory).with("line.max.bytes", "1024").drain();

    // then
    assertThat(records).hasSize(lines.size());
    assertThat(records.getFirst().topic()).isEqualTo("prompts");
    assertThat(records.getLast().topic()).isEqualTo("prompts");
    for (int i = 1; i <= malformed.size(); i++) {
      assertThat(records.get(i).topic()).isEqualTo("completions");
      final Completion error =
          (Completion) ContractData.toAvro(Completion.getClassSchema(), records.get(i).value());
      final BatchRequest identity = BatchRequest.parse(error.getRequestId()).orElseThrow();
      assertThat(error.getFinishReason()).isEqualTo(FinishReason.ERROR);
      assertThat(error.getError().orElseThrow()).contains(malformed.get(lines.get(i)));
      assertThat(identity.line()).isEqualTo(i + 1);
      assertThat(identity.endpoint()).isEqualTo(Endpoint.NONE);
      assertThat(identity.customId())
          .isEqualTo(BatchLine.customId(lines.get(i).getBytes(StandardCharsets.UTF_8)).orElse(""));
    }
    assertThat(records.stream().map(record -> BatchRequest.parse((String) record.key())))
        .anyMatch(identity -> identity.orElseThrow().customId().equals("cut"));
  }

  @Test
  void shouldWarnOfUnknownFieldsOnceAFile() throws Exception {
    // given
    final String odd =
        line("%s", "/v1/completions", "{\"prompt\":\"a\",\"tools\":[],\"user\":\"x\"}");
    write("a.jsonl", odd.formatted("1") + "\n" + odd.formatted("2") + "\n");
    write("b.jsonl", odd.formatted("1") + "\n");
    final ListAppender<ILoggingEvent> appender = new ListAppender<>();
    appender.start();
    final Logger logger = (Logger) LoggerFactory.getLogger(BatchFileSourceTask.class);
    logger.addAppender(appender);

    // when
    try {
      assertThat(new Worker(directory).drain()).hasSize(3);
    } finally {
      logger.detachAppender(appender);
    }

    // then
    assertThat(appender.list.stream().map(ILoggingEvent::getFormattedMessage))
        .filteredOn(message -> message.contains("mean nothing here"))
        .hasSize(2)
        .allMatch(message -> message.contains("[tools, user]"));
  }

  @Test
  void shouldMoveAFileOnlyOnceItsLastOffsetIsCommitted() throws Exception {
    // given
    final Path file = write("in.jsonl", prompt("a") + "\r\n\n" + prompt("b") + "\n\n \n");
    final Worker worker = new Worker(directory);
    worker.start();

    // when everything is sent and only the first line committed
    final List<SourceRecord> records = worker.poll();
    assertThat(records).hasSize(2);
    worker.commit(records.subList(0, 1));
    assertThat(worker.poll()).isEmpty();

    // then
    assertThat(file).exists();

    // when
    worker.commit(records);
    assertThat(worker.poll()).isEmpty();

    // then
    assertThat(file).doesNotExist();
    assertThat(directory.resolve("finished/in.jsonl")).exists();
  }

  @Test
  void shouldMarkAFileWhereItMayNotBeMovedAndTakeItAgainOnceItIsOther() throws Exception {
    // given
    final Path file = write("in.jsonl", prompt("a"));
    final Worker worker = new Worker(directory).with("finished.action", "mark");

    // when
    assertThat(worker.drain()).hasSize(1);

    // then
    assertThat(file).exists();
    assertThat(directory.resolve("in.jsonl.done")).exists();
    assertThat(worker.drain()).isEmpty();

    // when: the same name, later, with other content
    Thread.sleep(5);
    write("in.jsonl", prompt("b") + "\n" + prompt("c"));

    // then
    assertThat(worker.drain()).hasSize(2);
  }

  @Test
  void shouldDivideFilesAmongTasks() throws Exception {
    // given
    for (int i = 0; i < 20; i++) {
      write("in-" + i + ".jsonl", prompt("a"));
    }
    final BatchFileSourceConnector connector = new BatchFileSourceConnector();
    connector.start(new Worker(directory).properties);

    // when
    final List<Map<String, String>> configs = connector.taskConfigs(3);
    final List<List<SourceRecord>> shares = new ArrayList<>();
    for (final Map<String, String> config : configs) {
      shares.add(new Worker(directory).with(config).drain());
    }

    // then
    assertThat(shares).hasSize(3).noneMatch(List::isEmpty);
    assertThat(shares.stream().flatMap(List::stream).map(SourceRecord::sourcePartition))
        .doesNotHaveDuplicates()
        .hasSize(20);
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void shouldGoOnWithOtherFilesThoughOneCannotBeRead() throws Exception {
    // given: a file whose every read fails, for whoever reads it
    Files.createSymbolicLink(directory.resolve("a.jsonl"), Path.of("/proc/self/mem"));
    write("b.jsonl", prompt("a"));

    assertThat(new Worker(directory).drain()).hasSize(1);
  }

  @Test
  void shouldGoOnThoughAFileCannotBePutAway() throws Exception {
    // given: a file in the place of the directory
    write("finished", "");
    write("a.jsonl", prompt("a"));
    write("b.jsonl", prompt("b"));

    assertThat(new Worker(directory).drain()).hasSize(2);
    assertThat(directory.resolve("a.jsonl")).exists();
  }

  @Test
  void shouldWaitForAFileToSettle() throws Exception {
    write("in.jsonl", prompt("a"));

    assertThat(new Worker(directory).with("input.settle.ms", "60000").drain()).isEmpty();
  }

  @Test
  void shouldTakeOneFile() throws Exception {
    final Path file = write("one.txt", prompt("a"));

    assertThat(new Worker(file).drain()).hasSize(1);
  }

  @Test
  void shouldRefuseSettingsAndOffsetsThatCannotBe() {
    final BatchFileSourceConnector connector = new BatchFileSourceConnector();

    assertThat(
            connector
                .validate(
                    Map.of(
                        "input.path", "/no/such", "finished.action", "burn", "input.pattern", "["))
                .configValues()
                .stream()
                .flatMap(value -> value.errorMessages().stream()))
        .hasSize(3)
        .anyMatch(message -> message.contains("/no/such, which this worker cannot read"))
        .anyMatch(message -> message.contains("String must be one of: move, mark"))
        .anyMatch(message -> message.contains("is no glob pattern"));
    assertThat(connector.exactlyOnceSupport(Map.of())).isEqualTo(ExactlyOnceSupport.SUPPORTED);
    assertThat(connector.version()).isNotEmpty();
    final Map<String, String> partition = Map.of("file", "in.jsonl");
    final Map<Map<String, ?>, Map<String, ?>> reset = new HashMap<>();
    reset.put(partition, null);
    assertThat(connector.alterOffsets(Map.of(), reset)).isTrue();
    assertThat(
            connector.alterOffsets(
                Map.of(),
                Map.of(partition, Map.of("fingerprint", "f", "position", 10L, "line", 1))))
        .isTrue();
    for (final Map<String, ?> wrong :
        List.of(
            Map.of("position", 10L),
            Map.of("fingerprint", "f", "position", -1L, "line", 1),
            Map.of("fingerprint", "f", "position", "10", "line", 1))) {
      assertThatThrownBy(() -> connector.alterOffsets(Map.of(), Map.of(partition, wrong)))
          .isInstanceOf(ConnectException.class)
          .hasMessageContaining("valid is {\"fingerprint\": TEXT");
    }
    assertThatThrownBy(
            () -> connector.alterOffsets(Map.of(), Map.of(Map.of("filename", "x"), Map.of())))
        .hasMessageContaining("valid is {\"file\": NAME}");
  }

  @Test
  void shouldRefuseAnOffsetWhereNoLineBegins() throws Exception {
    // given
    write("in.jsonl", prompt("a") + "\n" + prompt("b") + "\n");
    final Worker worker = new Worker(directory);
    final List<SourceRecord> records = worker.drainWithoutFinishing();
    final Map<String, Object> offset = new HashMap<>(records.getFirst().sourceOffset());
    offset.put("position", 3L);

    // when
    final Worker altered = new Worker(directory);
    altered.committed.put(records.getFirst().sourcePartition(), offset);

    // then
    altered.start();
    assertThatThrownBy(altered::poll).hasMessageContaining("is 3, where no line begins");
  }

  @Property(tries = 60)
  void shouldSendEveryLineOnceWhereverItIsRestarted(
      @ForAll @Size(max = 40) final List<@IntRange(max = 5) Integer> kinds,
      @ForAll @IntRange(min = 1, max = 7) final int pollLines,
      @ForAll @Size(max = 12) final List<@IntRange(max = 4) Integer> restarts)
      throws Exception {
    // given: good, malformed and blank lines, some ended by carriage return and line feed
    final Path folder = Files.createTempDirectory(Path.of("target"), "restart");
    final StringBuilder content = new StringBuilder();
    for (int i = 0; i < kinds.size(); i++) {
      content.append(
          switch (kinds.get(i)) {
            case 0 -> "";
            case 1 -> " \r";
            case 2 -> "{\"broken\": ü";
            case 3 -> prompt("é" + i) + "\r";
            default -> prompt("id-" + i);
          });
      content.append(i == kinds.size() - 1 && kinds.size() % 2 == 0 ? "" : "\n");
    }
    Files.writeString(folder.resolve("in.jsonl"), content);
    final List<SourceRecord> undisturbed = new Worker(folder).drainWithoutFinishing();

    // when: a worker commits some of what it polled, is gone, and another goes on from there
    final Map<Map<String, ?>, Map<String, ?>> committed = new HashMap<>();
    final List<SourceRecord> records = new ArrayList<>();
    for (final int polls : restarts) {
      final Worker worker = new Worker(folder).with("poll.lines", Integer.toString(pollLines));
      worker.committed.putAll(committed);
      worker.start();
      for (int i = 0; i < polls; i++) {
        final List<SourceRecord> polled = worker.poll();
        final List<SourceRecord> kept = polled.subList(0, (polled.size() + 1) / 2);
        if (i == polls - 1) {
          records.addAll(kept);
          worker.commit(kept);
        } else {
          records.addAll(polled);
          worker.commit(polled);
        }
      }
      committed.putAll(worker.committed);
      if (Files.notExists(folder.resolve("in.jsonl"))) {
        break;
      }
    }
    if (Files.exists(folder.resolve("in.jsonl"))) {
      final Worker last = new Worker(folder);
      last.committed.putAll(committed);
      records.addAll(last.drain());
    }

    // then
    assertThat(records)
        .extracting(SourceRecord::key)
        .isEqualTo(undisturbed.stream().map(SourceRecord::key).toList());
    assertThat(records)
        .extracting(SourceRecord::sourceOffset)
        .isEqualTo(undisturbed.stream().map(SourceRecord::sourceOffset).toList());
    assertThat(folder.resolve("finished/in.jsonl")).hasContent(content.toString());
  }

  private Path write(final String name, final String content) throws IOException {
    return Files.writeString(directory.resolve(name), content);
  }

  static String prompt(final String customId) {
    return line(customId, "/v1/completions", "{\"prompt\":\"Once\"}");
  }

  static String line(final String customId, final String url, final String body) {
    return "{\"custom_id\":\"%s\",\"method\":\"POST\",\"url\":\"%s\",\"body\":%s}"
        .formatted(customId, url, body);
  }

  private static PromptRequest request(final SourceRecord record) {
    assertThat(record.topic()).isEqualTo("prompts");
    final PromptRequest request =
        (PromptRequest) ContractData.toAvro(PromptRequest.getClassSchema(), record.value());
    assertThat(request.getId()).contains((String) record.key());
    return request;
  }

  /** What a worker does for a source task: calls it and stores its offsets. */
  private static final class Worker {
    private final Map<String, String> properties = new HashMap<>();
    private final Map<Map<String, ?>, Map<String, ?>> committed = new HashMap<>();
    private BatchFileSourceTask task = new BatchFileSourceTask();

    Worker(final Path input) {
      properties.put("input.path", input.toString());
      properties.put("input.settle.ms", "0");
      properties.put("input.poll.ms", "10");
    }

    Worker with(final String name, final String value) {
      properties.put(name, value);
      return this;
    }

    Worker with(final Map<String, String> more) {
      properties.putAll(more);
      return this;
    }

    void start() {
      task = new BatchFileSourceTask();
      task.initialize(new Context(committed, properties));
      task.start(properties);
    }

    List<SourceRecord> poll() throws InterruptedException {
      final List<SourceRecord> records = task.poll();
      return records == null ? List.of() : records;
    }

    void commit(final List<SourceRecord> records) {
      records.forEach(record -> committed.put(record.sourcePartition(), record.sourceOffset()));
    }

    List<SourceRecord> drain() throws InterruptedException {
      start();
      final List<SourceRecord> all = new ArrayList<>();
      List<SourceRecord> polled = poll();
      while (!polled.isEmpty()) {
        all.addAll(polled);
        commit(polled);
        polled = poll();
      }
      return all;
    }

    List<SourceRecord> drainWithoutFinishing() throws InterruptedException {
      start();
      return poll();
    }
  }

  private record Context(Map<Map<String, ?>, Map<String, ?>> committed, Map<String, String> configs)
      implements SourceTaskContext {
    @Override
    public PluginMetrics pluginMetrics() {
      throw new UnsupportedOperationException();
    }

    @Override
    public OffsetStorageReader offsetStorageReader() {
      return new OffsetStorageReader() {
        @Override
        @SuppressWarnings("unchecked")
        public <T> Map<String, Object> offset(final Map<String, T> partition) {
          return (Map<String, Object>) committed.get(partition);
        }

        @Override
        public <T> Map<Map<String, T>, Map<String, Object>> offsets(
            final Collection<Map<String, T>> partitions) {
          throw new UnsupportedOperationException();
        }
      };
    }
  }
}
