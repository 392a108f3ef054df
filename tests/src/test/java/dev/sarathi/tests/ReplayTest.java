package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.Sampling;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.broker.DevelopmentBroker;
import dev.sarathi.streams.cli.ReplayCommand;
import dev.sarathi.streams.replay.Place;
import dev.sarathi.streams.replay.Replay;
import dev.sarathi.streams.replay.ReplayOptions;
import dev.sarathi.streams.replay.ReplayReport;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** What an application has written, generated again and compared. */
class ReplayTest {
  private static final Map<String, Object> REGISTRY = Map.of("schema.registry.url", "mock://tests");
  private static final Duration LIMIT = Duration.ofSeconds(120);
  private static final int SERVED = 90;
  private static final int REFUSED = 3;
  private static final int CUT = 4;

  private static final Optional<FinishReason> CANCELLED = Optional.of(FinishReason.CANCELLED);
  private static final Optional<FinishReason> EXPIRED = Optional.of(FinishReason.DEADLINE);

  /** Without id and key. */
  private static final int NAMELESS = 3;

  private static final int ALL = SERVED + REFUSED + CUT + NAMELESS;

  @TempDir private static Path directory;
  private static DevelopmentBroker broker;

  @BeforeAll
  static void record() {
    broker = DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")));
    final Map<String, Object> properties = properties("recorded");
    try (Application application = Application.start(properties);
        TokenLog log = new TokenLog(broker.bootstrapServers(), "recorded-tokens")) {
      Prompts.send(broker.bootstrapServers(), "recorded-prompts", cancelled());
      awaitTokensOf(log, "cancelled-0", "cancelled-1");
      Prompts.send(broker.bootstrapServers(), "recorded-prompts", expired());
      sendBytes("recorded-prompts", "cancelled-0", null);
      sendBytes("recorded-prompts", "cancelled-1", null);
      Prompts.send(broker.bootstrapServers(), "recorded-prompts", served(SERVED));
      Prompts.send(broker.bootstrapServers(), "recorded-prompts", served(5)); // once more
      Prompts.send(broker.bootstrapServers(), "recorded-prompts", refused());
      sendNameless("recorded-prompts");
      sendBytes("recorded-prompts", "broken", new byte[] {1, 2, 3});
      log.awaitTerminals(ALL, LIMIT);
      assertThat(log.of("cancelled-0")).last().returns(CANCELLED, TokenRecord::getFinishReason);
      assertThat(log.of("cancelled-1")).last().returns(CANCELLED, TokenRecord::getFinishReason);
      assertThat(log.of("expired-0")).last().returns(EXPIRED, TokenRecord::getFinishReason);
      assertThat(log.of("expired-1")).last().returns(EXPIRED, TokenRecord::getFinishReason);
      assertThat(log.of("expired-0").getFirst().getTokenIds()).as("tokens before").isNotEmpty();
      assertThat(application.isRunning()).isTrue();
    }
    // and one that nobody has served
    Prompts.send(
        broker.bootstrapServers(), "recorded-prompts", List.of(Stories.ofLength("late", 10, 5)));
  }

  @AfterAll
  static void stop() {
    broker.close();
  }

  private static List<PromptRequest> served(final int count) {
    final List<PromptRequest> requests = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      final String id = "request-" + i;
      requests.add(
          switch (i % 3) {
            case 0 -> Stories.ofLength(id, 5 + 7 * i, 40);
            case 1 -> Stories.sampled(id, 5 + 7 * i, 40);
            default -> Stories.sentences(id, 5 + 2 * i, 30);
          });
    }
    return requests;
  }

  private static List<PromptRequest> cancelled() {
    return List.of(Stories.endless("cancelled-0"), Stories.endless("cancelled-1"));
  }

  private static List<PromptRequest> expired() {
    return List.of(
        PromptRequest.newBuilder(Stories.endless("expired-0")).setDeadlineMs(3_000L).build(),
        PromptRequest.newBuilder(Stories.ofLength("expired-1", 40, Stories.ENDLESS))
            .setDeadlineMs(500L)
            .build());
  }

  private static List<PromptRequest> refused() {
    return List.of(
        PromptRequest.newBuilder(Stories.ofLength("too-long", 1, 5))
            .setTokenIds(Collections.nCopies(4200, 5))
            .build(),
        PromptRequest.newBuilder(Stories.ofLength("negative", 10, 5))
            .setSampling(Sampling.newBuilder().setTemperature(-1).build())
            .build(),
        PromptRequest.newBuilder(Stories.ofLength("x", 10, 5)).setId("x".repeat(2000)).build());
  }

  @Test
  void shouldFindNoDifferenceHoweverElseItIsRun() throws Exception {
    // when: another policy, budget, number of threads and of instances
    final ReplayReport report =
        replay(
            properties("recorded"),
            Map.of(
                "sarathi.scheduler", "prefill-first",
                "sarathi.token.budget", 96,
                "sarathi.cpu.threads", 2,
                "sarathi.prefix.cache", false,
                "num.stream.threads", 2),
            Integer.MAX_VALUE,
            2);

    // then
    assertThat(report.differences()).isEmpty();
    assertThat(report.generations()).isEqualTo(ALL);
    assertThat(report.tokens()).isGreaterThan(SERVED * 20);
    assertThat(report.cut()).isEqualTo(CUT);
    assertThat(report.unfinished()).as("late").isOne();
    assertThat(report.undecodable()).as("broken").isOne();
    assertThat(report.incomplete() + report.ambiguous()).isZero();
    assertThat(report.foreign()).isEmpty();
    // and nothing is left of it
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker.bootstrapServers()))) {
      assertThat(admin.listTopics().names().get()).noneMatch(topic -> topic.startsWith("replay-"));
    }
  }

  @Test
  void shouldFindATokenThatIsNotWhatTheModelSays() throws Exception {
    // given: the token records with one token changed, and one generation of another fingerprint
    final List<TokenRecord> records = new ArrayList<>();
    try (TokenLog log = new TokenLog(broker.bootstrapServers(), "recorded-tokens")) {
      log.awaitTerminals(ALL, LIMIT);
      log.ids().forEach(id -> records.addAll(log.of(id)));
    }
    final TokenRecord first =
        records.stream()
            .filter(
                record ->
                    record.getRequestId().equals("request-3") && !record.getTokenIds().isEmpty())
            .findFirst()
            .orElseThrow();
    final int right = first.getTokenIds().getFirst();
    final int wrong = right == 300 ? 301 : 300;
    final List<Integer> tokens = new ArrayList<>(first.getTokenIds());
    tokens.set(0, wrong);
    records.replaceAll(
        record ->
            record == first
                ? TokenRecord.newBuilder(record).setTokenIds(tokens).build()
                : record.getRequestId().equals("request-4")
                    ? TokenRecord.newBuilder(record).setFingerprint("other").build()
                    : record);
    try (Producer<String, byte[]> producer = producer();
        Serializer<TokenRecord> serializer = SarathiSerdes.tokenRecord(REGISTRY).serializer()) {
      for (final TokenRecord record : records) {
        producer.send(
            new ProducerRecord<>(
                "tampered-tokens",
                record.getRequestId(),
                serializer.serialize("tampered-tokens", record)));
      }
    }
    final Map<String, Object> properties = properties("recorded");
    properties.put("sarathi.tokens.topic", "tampered-tokens");
    final Path file = file("tampered.properties", properties);
    final StringWriter out = new StringWriter();
    final StringWriter err = new StringWriter();

    // when
    final int code =
        new CommandLine(new ReplayCommand())
            .setOut(new PrintWriter(out))
            .setErr(new PrintWriter(err))
            .execute(
                "--application=" + file, "--from=earliest", "--budget=64", "--policy=stall-free");

    // then
    assertThat(code).as("%s%s", out, err).isOne();
    assertThat(out.toString().lines())
        .anyMatch(
            line ->
                line.startsWith(
                        "request-3, choice 0, token %d: there %d "
                            .formatted(first.getIndex(), wrong))
                    && line.contains(", here " + right + " "))
        .anyMatch(line -> line.startsWith("1 generation made by fingerprint other, here it is "))
        .anyMatch(line -> line.matches("1 generation had not ended: not compared"))
        .last()
        .asString()
        .matches("100 generations, [\\d,]+ tokens, 1 difference");
  }

  @Test
  void shouldCompareWithTheCompletionsWhereThereAreNoTokens() throws Exception {
    // given
    final Map<String, Object> properties = properties("recorded");
    properties.put("sarathi.tokens.topic", "");

    // when
    final ReplayReport report = replay(properties, Map.of(), 20, 1);

    // then
    assertThat(report.differences()).isEmpty();
    assertThat(report.generations() + report.unfinished()).isEqualTo(20);
    assertThat(report.tokens()).isPositive();
  }

  @Test
  @Tag("long")
  void shouldFindNoDifferenceInTwoThousandSampledGenerations() throws Exception {
    // given
    final int count = 2_000;
    final List<PromptRequest> requests = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      requests.add(Stories.sampled("sampled-" + i, 5 + i % 300, 20 + i % 80));
    }
    try (Application application = Application.start(properties("many"));
        TokenLog log = new TokenLog(broker.bootstrapServers(), "many-tokens")) {
      Prompts.send(broker.bootstrapServers(), "many-prompts", requests);
      log.awaitTerminals(count, Duration.ofMinutes(10));
      assertThat(application.isRunning()).isTrue();
    }

    // when
    final ReplayReport report =
        replay(
            properties("many"),
            Map.of(
                "sarathi.scheduler", "mixed",
                "sarathi.token.budget", 128,
                "sarathi.cpu.threads", 2),
            Integer.MAX_VALUE,
            2);

    // then
    assertThat(report.generations()).isEqualTo(count);
    assertThat(report.differences()).isEmpty();
  }

  private static ReplayReport replay(
      final Map<String, Object> properties,
      final Map<String, Object> overrides,
      final int sample,
      final int instances)
      throws InterruptedException {
    return Replay.run(
        new ReplayOptions(
            properties,
            overrides,
            new Place.Earliest(),
            new Place.Latest(),
            sample,
            instances,
            false),
        (compared, all, tokens, differences) -> {});
  }

  private static void awaitTokensOf(final TokenLog log, final String... ids) {
    final long deadline = System.nanoTime() + LIMIT.toNanos();
    for (final String id : ids) {
      while (log.of(id).isEmpty()) {
        assertThat(System.nanoTime()).isLessThan(deadline);
        log.poll();
      }
    }
  }

  private static void sendNameless(final String topic) {
    try (Producer<String, byte[]> producer = producer();
        Serializer<PromptRequest> serializer = SarathiSerdes.promptRequest(REGISTRY).serializer()) {
      for (int i = 0; i < NAMELESS; i++) {
        final PromptRequest request =
            PromptRequest.newBuilder(Stories.sampled("nameless", 20, 20 + i)).setId(null).build();
        producer.send(new ProducerRecord<>(topic, null, serializer.serialize(topic, request)));
      }
    }
  }

  private static void sendBytes(final String topic, final String key, final byte[] value) {
    try (Producer<String, byte[]> producer = producer()) {
      producer.send(new ProducerRecord<>(topic, key, value));
    }
  }

  private static Producer<String, byte[]> producer() {
    return new KafkaProducer<>(
        Map.of("bootstrap.servers", broker.bootstrapServers()),
        new StringSerializer(),
        new ByteArraySerializer());
  }

  private static Path file(final String name, final Map<String, Object> settings)
      throws IOException {
    final Properties properties = new Properties();
    settings.forEach((setting, value) -> properties.setProperty(setting, value.toString()));
    final Path file = directory.resolve(name);
    try (Writer writer = Files.newBufferedWriter(file, StandardCharsets.UTF_8)) {
      properties.store(writer, null);
    }
    return file;
  }

  private static Map<String, Object> properties(final String name) {
    final Map<String, Object> properties = new HashMap<>(REGISTRY);
    properties.put("bootstrap.servers", broker.bootstrapServers());
    properties.put("application.id", name);
    properties.put("state.dir", directory.resolve(name).toString());
    properties.put("group.instance.id", "instance-1");
    properties.put("sarathi.model", Stories.MODEL.toString());
    properties.put("sarathi.cpu.threads", 1);
    properties.put("sarathi.prompts.topic", name + "-prompts");
    properties.put("sarathi.tokens.topic", name + "-tokens");
    properties.put("sarathi.completions.topic", name + "-completions");
    properties.put("sarathi.dead.letters.topic", name + "-dead-letters");
    properties.put("sarathi.topics.partitions", 3);
    return properties;
  }
}
