package dev.sarathi.streams.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.schemas.batch.BatchFile;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BatchCommandTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Path MODEL = Path.of("../models/storyteller");

  @TempDir private Path directory;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private Path input;
  private Path output;

  @BeforeEach
  void write() throws IOException {
    final List<String> lines = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      lines.add(
          ("{\"custom_id\":\"line-%d\",\"method\":\"POST\",\"url\":\"/v1/completions\","
                  + "\"body\":{\"model\":\"elsewhere\",\"prompt\":\"Once upon a time\",\"max_tokens\":%d}}")
              .formatted(i, 20 - 3 * i));
    }
    input = Files.write(directory.resolve("in.jsonl"), lines);
    output = directory.resolve("out.jsonl");
  }

  @Test
  void shouldHaveARunningApplicationAnswerAndNothingTwice() throws Exception {
    try (DevelopmentBroker broker =
            DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")));
        Application _ = Application.start(properties(broker))) {
      // when
      final Path file =
          Files.writeString(
              directory.resolve("application.properties"),
              "bootstrap.servers=%s\nsarathi.completions.topic=answers\n"
                  .formatted(broker.bootstrapServers()));
      final int code = run("--application=" + file, "--model=storyteller", "--ordered");

      // then
      assertThat(code).as("%s%n%s", out, err).isZero();
      assertThat(customIds(output))
          .containsExactly("line-0", "line-1", "line-2", "line-3", "line-4", "line-5");
      assertThat(BatchState.of(output)).doesNotExist();

      // and for another output the same answers are taken from the topic
      final byte[] first = Files.readAllBytes(output);
      output = directory.resolve("other.jsonl");
      assertThat(run("--application=" + file, "--model=storyteller", "--ordered")).isZero();
      assertThat(out.toString()).contains("6 of 6 lines are answered already");
      assertThat(output).hasBinaryContent(first);

      // and a model that is not served is an error of each line
      output = directory.resolve("refused.jsonl");
      assertThat(run("--application=" + file)).isOne();
      assertThat(output).isEmptyFile();
      assertThat(directory.resolve("refused.errors.jsonl"))
          .content()
          .contains("elsewhere is not served here; valid is storyteller");
    }
  }

  @Test
  void shouldNotDoAgainWhatIsDone() throws Exception {
    // given
    final String fingerprint = BatchFile.scan(input, 1 << 20).fingerprint();
    Files.writeString(output, "{\"id\":\"batch_req_" + fingerprint + "_1\"}\n");

    // then
    assertThat(run()).isZero();
    assertThat(out.toString()).contains("is done already; --force does it again");

    // and not where some failed either
    Files.writeString(
        directory.resolve("out.errors.jsonl"), "{\"id\":\"batch_req_" + fingerprint + "_2\"}\n");
    assertThat(run()).isOne();
  }

  @Test
  void shouldNotOverwriteWhatIsNotItsOwn() throws Exception {
    Files.writeString(output, "{\"id\":\"precious\"}\n");

    assertThat(run()).isEqualTo(2);

    assertThat(err.toString()).contains("was not made from this input; --force overwrites it");
    assertThat(output).content().contains("precious");
  }

  @Test
  void shouldNotGoOnWithAnotherInputOrModel() throws Exception {
    // given
    final String fingerprint = BatchFile.scan(input, 1 << 20).fingerprint();
    try (BatchState state = BatchState.open(BatchState.of(output)).orElseThrow()) {
      state.begin(new BatchState.Begun(fingerprint, Map.of("model", "other"), List.of()));
    }

    // then
    assertThat(run()).isEqualTo(2);
    assertThat(err.toString()).contains("was begun with {model=other}");

    // and
    Files.writeString(input, "{}\n");
    assertThat(run()).isEqualTo(2);
    assertThat(err.toString()).contains("was begun from another input");
  }

  @Test
  void shouldLetOneProcessAtATimeWork() throws Exception {
    try (BatchState _ = BatchState.open(BatchState.of(output)).orElseThrow()) {
      assertThat(run()).isOne();
      assertThat(err.toString()).contains("another process is at work");
    }
  }

  @Test
  void shouldRefuseWhatCannotWork() {
    assertThat(run("--policy=hasty")).isEqualTo(2);
    assertThat(run("--token-budget=1")).isEqualTo(2);
    assertThat(run("--model=nowhere")).isEqualTo(3);
    output = input;
    assertThat(run()).isEqualTo(2);
    assertThat(err.toString()).contains("--output is the input");
  }

  private Map<String, Object> properties(final DevelopmentBroker broker) {
    final Map<String, Object> properties = new HashMap<>();
    properties.put("bootstrap.servers", broker.bootstrapServers());
    properties.put("application.id", "answers");
    properties.put("schema.registry.url", "mock://sarathi");
    properties.put("state.dir", directory.resolve("state").toString());
    properties.put("sarathi.model", MODEL.toString());
    properties.put("sarathi.cpu.threads", 1);
    properties.put("sarathi.completions.topic", "answers");
    properties.put("sarathi.topics.partitions", 2);
    return properties;
  }

  private static List<String> customIds(final Path results) throws IOException {
    final List<String> ids = new ArrayList<>();
    for (final String line : Files.readAllLines(results)) {
      final JsonNode result = JSON.readTree(line);
      assertThat(result.path("response").path("body").path("model").asText())
          .isEqualTo("storyteller");
      ids.add(result.path("custom_id").asText());
    }
    return ids;
  }

  private int run(final String... options) {
    final List<String> arguments = new ArrayList<>();
    arguments.addAll(List.of("batch", input.toString(), "-o", output.toString()));
    if (List.of(options).stream().noneMatch(option -> option.startsWith("--model"))
        && List.of(options).stream().noneMatch(option -> option.startsWith("--application"))) {
      arguments.add("--model=" + MODEL);
    }
    arguments.addAll(List.of(options));
    return Sarathi.commandLine()
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err))
        .execute(arguments.toArray(String[]::new));
  }
}
