package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.Priority;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.broker.DevelopmentBroker;
import dev.sarathi.streams.cli.AdminCommand;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.Writer;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** {@code sarathi admin} and the HTTP endpoint, of real instances at a real broker. */
class AdminTest {
  private static final Map<String, Object> REGISTRY = Map.of("schema.registry.url", "mock://tests");
  private static final Duration LIMIT = Duration.ofSeconds(120);
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir private static Path directory;
  private static DevelopmentBroker broker;

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @BeforeAll
  static void start() {
    broker = DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")));
  }

  @AfterAll
  static void stop() {
    broker.close();
  }

  @Test
  void shouldListShowAndCancelTheRequestsOfAllInstancesByAskingOne() throws Exception {
    // given: two instances, of whose partitions one request runs and the others wait
    final Map<String, Object> first = properties("listed");
    first.put("sarathi.engine.window", 1);
    first.put("sarathi.http.listen", "127.0.0.1:0");
    final Map<String, Object> second = new HashMap<>(first);
    second.put("state.dir", directory.resolve("listed-2").toString());
    final Path file = file("listed.properties", first);
    try (Application one = Application.start(first);
        Application two = Application.start(second);
        TokenLog log = new TokenLog(broker.bootstrapServers(), "listed-tokens")) {
      final String url = "http://" + one.httpAddress().orElseThrow();
      until(() -> one.isRunning() && two.isRunning() && partitions(url) == 2);
      assertThat(get(url + "/ready")).isEqualTo(200);
      final Map<String, Integer> partitions = new HashMap<>();
      try (Producer<String, byte[]> producer = producer();
          Serializer<PromptRequest> serializer =
              SarathiSerdes.promptRequest(REGISTRY).serializer()) {
        for (int i = 0; i < 8; i++) {
          // Ids that their keys do not tell, with what an address must quote.
          final String id = "a request/" + i;
          partitions.put(id, i % 2);
          producer.send(
              new ProducerRecord<>(
                  "listed-prompts",
                  i % 2,
                  "key-" + i,
                  serializer.serialize(
                      "listed-prompts",
                      PromptRequest.newBuilder(Stories.endless(id))
                          .setPriority(i < 6 ? Priority.INTERACTIVE : Priority.BULK)
                          .setTenant("acme")
                          .build())));
        }
      }
      until(
          () -> {
            log.poll();
            return log.ids().size() == 2;
          });

      // when
      assertThat(run("list", "--url=" + url, "--json")).as(err.toString()).isZero();

      // then
      final List<JsonNode> listed = out.toString().lines().map(AdminTest::json).toList();
      assertThat(listed)
          .allSatisfy(
              request -> {
                assertThat(request.path("partition").asInt())
                    .isEqualTo(partitions.get(request.path("id").asText()));
                assertThat(request.path("topic").asText()).isEqualTo("listed-prompts");
                assertThat(request.path("tenant").asText()).isEqualTo("acme");
                assertThat(request.path("age_ms").asLong()).isBetween(0L, LIMIT.toMillis());
              });
      assertThat(states(listed, "running"))
          .as("one of each partition")
          .hasSize(2)
          .allSatisfy(
              request -> {
                assertThat(request.path("attempts").asInt()).isOne();
                assertThat(request.path("tokens").asInt()).isPositive();
              });
      assertThat(states(listed, "waiting"))
          .hasSize(6)
          .allSatisfy(request -> assertThat(request.path("tokens").asInt()).isZero());
      assertThat(listed)
          .filteredOn(request -> request.path("priority").asText().equals("bulk"))
          .hasSize(2);

      // when, then: as a table, and some of it
      assertThat(run("list", "--url=" + url + "/", "--state=waiting", "--limit=2")).isZero();
      assertThat(out.toString())
          .contains("ID ", "waiting", "interactive")
          .contains("4 requests, and there are more; the stores hold about ")
          .contains("uncommitted")
          .doesNotContain("running");

      // when, then: one of the other instance
      final String waiting = states(listed, "waiting").getLast().path("id").asText();
      assertThat(run("show", "--url=" + url, waiting)).as(err.toString()).isZero();
      assertThat(json(out.toString()).path("id").asText()).isEqualTo(waiting);
      assertThat(json(out.toString()).path("committed").asBoolean(true)).isFalse();
      assertThat(run("show", "--url=" + url, "nobody")).isOne();

      // when, then: by what the instances know of it
      final String running = states(listed, "running").getFirst().path("id").asText();
      for (final String id : List.of(waiting, running)) {
        assertThat(run("cancel", "--application=" + file, "--url=" + url, "--wait", id))
            .as("%s%s", out, err)
            .isZero();
        assertThat(out.toString())
            .contains("sent to listed-prompts-" + partitions.get(id))
            .contains(id + " has ended: CANCELLED");
      }
      // by what the operator knows of it
      final String other = states(listed, "waiting").getFirst().path("id").asText();
      final int partition = partitions.get(other);
      assertThat(
              run(
                  "cancel",
                  "--application=" + file,
                  "--partition=" + partition,
                  "--wait",
                  "--timeout=60",
                  other))
          .as("%s%s", out, err)
          .isZero();
      log.awaitTerminals(3, LIMIT);
      assertThat(log.of(waiting).getLast().getFinishReason()).contains(FinishReason.CANCELLED);
      // and one that is over
      assertThat(run("cancel", "--application=" + file, "--url=" + url, waiting)).isOne();
      assertThat(err.toString()).contains("no instance has an unfinished request " + waiting);

      // when, then: what is no route, no state, no limit
      assertThat(get(url + "/health")).isEqualTo(200);
      assertThat(get(url + "/nothing")).isEqualTo(404);
      assertThat(get(url + "/requests?state=lost")).isEqualTo(400);
      assertThat(get(url + "/requests?limit=0")).isEqualTo(400);
      assertThat(get(url + "/requests?limit=many")).isEqualTo(400);
    }
    // and nobody answers any more
    assertThat(run("list", "--url=http://127.0.0.1:1")).isNotZero();
  }

  @Test
  void shouldPutDeadLettersBackOnce() throws Exception {
    // given: prompts that a context of 100 tokens does not hold, and one that is none
    final Map<String, Object> properties = properties("requeued");
    properties.put("sarathi.max.context", 100);
    final List<String> ids = List.of("long-0", "long-1", "long-2");
    try (Application application = Application.start(properties);
        TokenLog log = new TokenLog(broker.bootstrapServers(), "requeued-tokens")) {
      try (Producer<String, byte[]> producer = producer();
          Serializer<PromptRequest> serializer =
              SarathiSerdes.promptRequest(REGISTRY).serializer()) {
        for (final String id : ids) {
          final ProducerRecord<String, byte[]> record =
              new ProducerRecord<>(
                  "requeued-prompts",
                  1,
                  id,
                  serializer.serialize("requeued-prompts", Stories.ofLength(id, 200, 10)));
          record.headers().add("traceparent", new byte[] {7});
          producer.send(record).get();
        }
        producer.send(new ProducerRecord<>("requeued-prompts", "broken", new byte[] {1, 2})).get();
      }
      Prompts.send(
          broker.bootstrapServers(), "requeued-prompts", List.of(Stories.ofLength("ok", 20, 5)));
      log.awaitTerminals(4, LIMIT);
      assertThat(application.isRunning()).isTrue();
    }
    final Path file = file("requeued.properties", properties);

    // when, then: one, once
    assertThat(run("requeue", "--application=" + file, "--id=long-1"))
        .as("%s%s", out, err)
        .isZero();
    assertThat(out.toString()).contains("long-1", "1 put back, 0 had been before");
    assertThat(run("requeue", "--application=" + file, "--id=long-1")).isZero();
    assertThat(out.toString()).contains("0 put back, 1 had been before");
    // and the rest, once, by the error that sent them there
    assertThat(run("requeue", "--application=" + file, "--error=InvalidRequestException")).isZero();
    assertThat(out.toString()).contains("2 put back, 1 had been before");
    assertThat(run("requeue", "--application=" + file, "--from=0", "--to=1000")).isZero();
    assertThat(out.toString()).contains("1 put back, 3 had been before");
    assertThat(run("requeue", "--application=" + file)).isZero();
    assertThat(out.toString()).contains("0 put back, 4 had been before");

    // and what is noted of it is short, whatever the order
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker.bootstrapServers()))) {
      assertThat(
              admin
                  .listConsumerGroupOffsets("requeued-requeue")
                  .partitionsToOffsetAndMetadata()
                  .get()
                  .values())
          .isNotEmpty()
          .allSatisfy(note -> assertThat(note.metadata()).isEmpty());
    }

    // then the prompts have them as they came, but for where they were in the meantime
    final List<ConsumerRecord<String, byte[]>> prompts = read("requeued-prompts");
    for (final String id : ids) {
      final List<ConsumerRecord<String, byte[]>> both =
          prompts.stream().filter(record -> record.key().equals(id)).toList();
      assertThat(both).hasSize(2);
      assertThat(both.getLast().value()).isEqualTo(both.getFirst().value());
      assertThat(both.getLast().partition()).isEqualTo(1);
      assertThat(both.getLast().headers().lastHeader("traceparent").value())
          .isEqualTo(new byte[] {7});
      assertThat(both.getLast().headers().toArray())
          .extracting(header -> header.key())
          .containsExactly("traceparent", "sarathi.requeued.from");
    }

    // when: an instance that holds them
    properties.put("sarathi.max.context", 400);
    try (Application application = Application.start(properties);
        TokenLog log = new TokenLog(broker.bootstrapServers(), "requeued-tokens");
        Oracle oracle = new Oracle()) {
      log.awaitTerminals(7, LIMIT);

      // then: an end in the error, and a good one
      for (final String id : ids) {
        final List<TokenRecord> records = log.of(id);
        assertThat(records.stream().filter(TokenRecord::getLast))
            .extracting(record -> record.getFinishReason().orElseThrow())
            .containsExactly(FinishReason.ERROR, FinishReason.LENGTH);
        assertThat(records.stream().flatMap(record -> record.getTokenIds().stream()))
            .containsExactlyElementsOf(
                oracle.answers(Stories.ofLength(id, 200, 10)).getFirst().tokens());
      }
      assertThat(log.of("ok").stream().filter(TokenRecord::getLast)).hasSize(1);
      assertThat(application.isRunning()).isTrue();
    }
    // and what is no prompt lies with the dead letters again
    assertThat(read("requeued-dead-letters"))
        .filteredOn(record -> record.key().equals("broken"))
        .hasSize(2)
        .allSatisfy(record -> assertThat(record.value()).isEqualTo(new byte[] {1, 2}));
  }

  @Test
  void shouldSayWhatIsWrongWithAnAddress() {
    final Map<String, Object> properties = properties("address");
    properties.put("sarathi.http.listen", "8080");

    assertThatThrownBy(() -> Application.start(properties))
        .hasMessageContaining("sarathi.http.listen")
        .hasMessageContaining("8080")
        .hasMessageContaining("valid is host:port");
  }

  private int run(final String... arguments) {
    out.getBuffer().setLength(0);
    err.getBuffer().setLength(0);
    return new CommandLine(new AdminCommand())
        .setOut(new PrintWriter(out))
        .setErr(new PrintWriter(err))
        .execute(arguments);
  }

  private static List<JsonNode> states(final List<JsonNode> requests, final String state) {
    return requests.stream()
        .filter(request -> request.path("state").asText().equals(state))
        .toList();
  }

  private static JsonNode json(final String text) {
    try {
      return JSON.readTree(text);
    } catch (final IOException e) {
      throw new AssertionError(text, e);
    }
  }

  private static int get(final String url) {
    try (HttpClient client = HttpClient.newHttpClient()) {
      return client
          .send(HttpRequest.newBuilder(URI.create(url)).build(), BodyHandlers.discarding())
          .statusCode();
    } catch (final IOException | InterruptedException e) {
      throw new AssertionError(url, e);
    }
  }

  /** How many instances have partitions, as one of them knows. */
  private static long partitions(final String url) {
    try (HttpClient client = HttpClient.newHttpClient()) {
      final JsonNode body =
          json(
              client
                  .send(
                      HttpRequest.newBuilder(URI.create(url + "/instances")).build(),
                      BodyHandlers.ofString())
                  .body());
      long count = 0;
      for (final JsonNode instance : body.path("instances")) {
        count += instance.path("partitions").isEmpty() ? 0 : 1;
      }
      return count;
    } catch (final IOException | InterruptedException e) {
      throw new AssertionError(url, e);
    }
  }

  private static void until(final BooleanSupplier condition) throws InterruptedException {
    final long deadline = System.nanoTime() + LIMIT.toNanos();
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).isLessThan(deadline);
      Thread.sleep(50);
    }
  }

  private static List<ConsumerRecord<String, byte[]>> read(final String topic) {
    final List<ConsumerRecord<String, byte[]>> records = new ArrayList<>();
    try (Consumer<String, byte[]> consumer =
        new KafkaConsumer<>(
            Map.of(
                "bootstrap.servers",
                broker.bootstrapServers(),
                "isolation.level",
                "read_committed"),
            new StringDeserializer(),
            new ByteArrayDeserializer())) {
      final Set<TopicPartition> partitions =
          consumer.partitionsFor(topic).stream()
              .map(partition -> new TopicPartition(topic, partition.partition()))
              .collect(Collectors.toSet());
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      final Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (ends.entrySet().stream()
          .anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
        consumer.poll(Duration.ofMillis(100)).forEach(records::add);
      }
    }
    return records;
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
    properties.put("sarathi.model", Stories.MODEL.toString());
    properties.put("sarathi.cpu.threads", 1);
    properties.put("sarathi.prompts.topic", name + "-prompts");
    properties.put("sarathi.tokens.topic", name + "-tokens");
    properties.put("sarathi.completions.topic", "");
    properties.put("sarathi.dead.letters.topic", name + "-dead-letters");
    properties.put("sarathi.topics.partitions", 2);
    return properties;
  }
}
