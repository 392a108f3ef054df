package dev.sarathi.streams.cli;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.schemas.ChatMessage;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.Priority;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.Sampling;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenBias;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** The commands against a real broker. */
final class ClientCommandsTest {

  @TempDir static Path directory;
  private static DevelopmentBroker broker;

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @BeforeAll
  static void startBroker() {
    broker = DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")));
  }

  @AfterAll
  static void stopBroker() {
    broker.close();
  }

  @Test
  void shouldSubmitAPromptWithItsOptions() {
    // when
    final int code =
        run(
            new SubmitCommand(),
            Stream.of(
                "--topic=arguments --id=r-1 --max-tokens=9 --temperature=0 --seed=5".split(" "),
                "--stop=. --stop=! --priority=bulk --deadline=1000 --job=j-1 Once".split(" "),
                "--n=3 --min-p=0.1 --repetition-penalty=1.5 --presence-penalty=1".split(" "),
                "--frequency-penalty=-1 --logit-bias=5=-100 --logit-bias=9=2.5".split(" "),
                "--stop-token=7 --stop-token=8 --logprobs=2 --prompt-logprobs=0".split(" "),
                "--truncate=100 --tenant=acme --ignore-eos --top-k=4 --top-p=0.5".split(" ")));

    // then
    assertThat(code).as(err.toString()).isZero();
    assertThat(out.toString().strip()).isEqualTo("r-1");
    assertThat(requests("arguments", 1))
        .singleElement()
        .satisfies(
            record -> {
              assertThat(record.key()).isEqualTo("r-1");
              final PromptRequest request = record.value();
              assertThat(request.getId()).contains("r-1");
              assertThat(request.getPrompt()).contains("Once");
              assertThat(request.getMaxTokens()).contains(9);
              assertThat(request.getSampling().getTemperature()).isZero();
              assertThat(request.getSeed()).contains(5L);
              assertThat(request.getStop()).containsExactly(".", "!");
              assertThat(request.getPriority()).isEqualTo(Priority.BULK);
              assertThat(request.getDeadlineMs()).contains(1_000L);
              assertThat(request.getJobId()).contains("j-1");
              assertThat(request.getTenant()).isEqualTo("acme");
              assertThat(request.getN()).isEqualTo(3);
              assertThat(request.getSampling())
                  .isEqualTo(
                      new Sampling(
                          0.0,
                          4,
                          0.5,
                          0.1,
                          1.5,
                          1.0,
                          -1.0,
                          List.of(new TokenBias(5, -100.0), new TokenBias(9, 2.5))));
              assertThat(request.getStopTokenIds()).containsExactly(7, 8);
              assertThat(request.getLogprobs()).contains(2);
              assertThat(request.getPromptLogprobs()).contains(0);
              assertThat(request.getTruncatePromptTokens()).contains(100);
              assertThat(request.getIgnoreEos()).isTrue();
            });
  }

  @Test
  void shouldSubmitWhatAUserSays() {
    // when
    final int code = run(new SubmitCommand(), "--topic=chat", "--system=Be brief.", "Hi");

    // then
    assertThat(code).as(err.toString()).isZero();
    assertThat(requests("chat", 1))
        .singleElement()
        .satisfies(
            record -> {
              assertThat(record.value().getPrompt()).isEmpty();
              assertThat(record.value().getMessages().orElseThrow())
                  .containsExactly(
                      new ChatMessage("system", "Be brief."), new ChatMessage("user", "Hi"));
              assertThat(record.value().getSampling().getTemperature()).isEqualTo(1.0);
            });
  }

  @Test
  void shouldSendTheGoodLinesOfAFileAndReportTheBadOnes() throws Exception {
    // given
    final Path file = directory.resolve("prompts.jsonl");
    Files.writeString(
        file,
        """
        "Once"
        {"id": "r-2", "prompt": "Twice"}

        {"id": "r-3"}
        {"id": "r-4", "prompt": "Again", "max_tokens": 3}
        """);

    // when
    final int code = run(new SubmitCommand(), "--topic=files", "--file=" + file, "--max-tokens=7");

    // then
    assertThat(code).isEqualTo(1);
    assertThat(err.toString())
        .contains("prompts.jsonl:4: 0 of prompt, token_ids and messages are set")
        .contains("3 stored, 1 failed");
    final List<ConsumerRecord<String, PromptRequest>> records = requests("files", 3);
    assertThat(records)
        .extracting(record -> record.value().getPrompt().orElseThrow())
        .containsExactly("Once", "Twice", "Again");
    assertThat(records)
        .extracting(record -> record.value().getMaxTokens().orElseThrow())
        .containsExactly(7, 7, 3);
    assertThat(records.getFirst().key())
        .isEqualTo(out.toString().lines().findFirst().orElseThrow());
  }

  @Test
  void shouldShowCommittedTokensOnly() {
    // given
    try (KafkaProducer<String, TokenRecord> producer =
        new KafkaProducer<>(
            Map.of("bootstrap.servers", broker.bootstrapServers(), "transactional.id", "test"),
            new StringSerializer(),
            SarathiSerdes.tokenRecord(registry()).serializer())) {
      producer.initTransactions();
      producer.beginTransaction();
      producer.send(tokens("r-1", 0, "not committed", Optional.empty()));
      producer.abortTransaction();
      producer.beginTransaction();
      producer.send(tokens("r-1", 0, "Once upon", Optional.empty()));
      producer.send(tokens("r-2", 0, "Other", Optional.of(FinishReason.STOP)));
      producer.send(tokens("r-1", 1, " a time", Optional.of(FinishReason.LENGTH)));
      producer.commitTransaction();
    }

    // when
    final String[] all = {"--topic=tail", "--from-beginning", "--until-done=2"};
    int code = run(new TailCommand(), all);

    // then
    assertThat(code).as(err.toString()).isZero();
    assertThat(out.toString().lines())
        .containsExactly("r-2 | Other", "r-2 = STOP", "r-1 | Once upon a time", "r-1 = LENGTH");

    // when
    out.getBuffer().setLength(0);
    final String[] one = {
      "--topic=tail", "--from-beginning", "--until-done=1", "--request=r-1", "--json"
    };
    code = run(new TailCommand(), one);

    // then
    assertThat(code).as(err.toString()).isZero();
    assertThat(out.toString().lines())
        .hasSize(2)
        .last()
        .asString()
        .contains("\"request_id\":\"r-1\"", "\"index\":1", "\"finish_reason\":\"LENGTH\"")
        .contains("\"emitted_at\":\"1970-01-01T00:00:00Z\"", "\"error\":null");
  }

  @Test
  void shouldExitWith2WhenMisused() {
    assertThat(run(new SubmitCommand())).isEqualTo(2);
    assertThat(run(new SubmitCommand(), "--id=x", "two", "prompts")).isEqualTo(2);
    assertThat(run(new SubmitCommand(), "--priority=urgent", "x")).isEqualTo(2);
    assertThat(run(new SubmitCommand(), "--logit-bias=5", "x")).isEqualTo(2);
    assertThat(run(new SubmitCommand(), "--config=/no/such/file", "x")).isEqualTo(2);
    assertThat(run(new TailCommand(), "--until-done=0")).isEqualTo(2);
    assertThat(run(new BrokerCommand(), "--port=many")).isEqualTo(2);
  }

  @Test
  void shouldSayThatKafkaDoesNotAnswer() throws Exception {
    final Path file = directory.resolve("client.properties");
    Files.writeString(
        file, "max.block.ms=200\ndefault.api.timeout.ms=200\nrequest.timeout.ms=100\n");
    final String[] nowhere = {"--bootstrap-server=localhost:1", "--config=" + file};

    assertThat(new CommandLine(new TailCommand()).setErr(new PrintWriter(err)).execute(nowhere))
        .isEqualTo(1);
    assertThat(err.toString()).contains("Kafka did not answer").contains("localhost:1");

    err.getBuffer().setLength(0);
    assertThat(
            new CommandLine(new SubmitCommand())
                .setErr(new PrintWriter(err))
                .execute(nowhere[0], nowhere[1], "Once"))
        .isEqualTo(1);
    assertThat(err.toString()).contains("Kafka did not answer").contains("localhost:1");
  }

  @Test
  void shouldRunABrokerUntilTerminated() throws Exception {
    // given
    final Process command =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                CommandProcess.class.getName(),
                "--port=0",
                "--dir=" + directory.resolve("foreground"))
            .redirectErrorStream(true)
            .start();
    try {
      // when
      final String firstLine = lineWith("is ready at", command);
      final ProcessHandle child = command.children().findFirst().orElseThrow();
      command.toHandle().destroy();

      // then
      assertThat(firstLine).contains("localhost:");
      child.onExit().get(10, SECONDS);
      assertThat(command.waitFor(10, SECONDS)).isTrue();
    } finally {
      command.destroyForcibly();
    }
  }

  /** {@code ./sarathi broker}, without the launcher. */
  static final class CommandProcess {
    public static void main(final String[] arguments) {
      System.exit(new CommandLine(new BrokerCommand()).execute(arguments));
    }
  }

  private static String lineWith(final String text, final Process process) throws Exception {
    final var lines = process.inputReader();
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      if (line.contains(text)) {
        return line;
      }
    }
    throw new AssertionError("ended without '" + text + "', exit code " + process.waitFor());
  }

  private int run(final Callable<Integer> command, final Stream<String[]> arguments) {
    return run(command, arguments.flatMap(Stream::of).toArray(String[]::new));
  }

  private int run(final Callable<Integer> command, final String... arguments) {
    final List<String> all = new ArrayList<>();
    if (!(command instanceof BrokerCommand)) {
      all.add("--bootstrap-server=" + broker.bootstrapServers());
    }
    all.addAll(List.of(arguments));
    return new CommandLine(command)
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err))
        .setCaseInsensitiveEnumValuesAllowed(true)
        .execute(all.toArray(String[]::new));
  }

  private static Map<String, ?> registry() {
    return Map.of("schema.registry.url", "mock://sarathi");
  }

  private static ProducerRecord<String, TokenRecord> tokens(
      final String request,
      final int index,
      final String text,
      final Optional<FinishReason> reason) {
    return new ProducerRecord<>(
        "tail",
        request,
        TokenRecord.newBuilder()
            .setRequestId(request)
            .setIndex(index)
            .setTokenIds(List.of(17))
            .setText(text)
            .setFinishReason(reason.orElse(null))
            .setLast(reason.isPresent())
            .setEmittedAt(Instant.EPOCH)
            .build());
  }

  private static List<ConsumerRecord<String, PromptRequest>> requests(
      final String topic, final int count) {
    try (KafkaConsumer<String, PromptRequest> consumer =
        new KafkaConsumer<>(
            Map.of("bootstrap.servers", broker.bootstrapServers(), "auto.offset.reset", "earliest"),
            new StringDeserializer(),
            SarathiSerdes.promptRequest(registry()).deserializer())) {
      consumer.assign(List.of(new TopicPartition(topic, 0)));
      final List<ConsumerRecord<String, PromptRequest>> records = new ArrayList<>();
      final long deadline = System.nanoTime() + SECONDS.toNanos(10);
      while (records.size() < count && System.nanoTime() < deadline) {
        consumer.poll(Duration.ofMillis(100)).forEach(records::add);
      }
      return records;
    }
  }
}
