package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.sarathi.schemas.ChatMessage;
import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.Sampling;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/** The application in this process against a real broker. */
class ApplicationTest {
  private static final Map<String, Object> REGISTRY = Map.of("schema.registry.url", "mock://tests");
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final Logger RESTORING =
      (Logger) LoggerFactory.getLogger("org.apache.kafka.streams.processor.internals");

  @TempDir private static Path directory;
  private static DevelopmentBroker broker;

  @BeforeAll
  static void start() {
    broker = DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")));
  }

  @AfterAll
  static void stop() {
    broker.close();
  }

  @Test
  void shouldAnswerGoodPromptsBesideBadOnesAndNoneTwice() {
    // given
    final Map<String, byte[]> undecodable = new LinkedHashMap<>();
    undecodable.put("text", "no Avro at all".getBytes(StandardCharsets.UTF_8));
    undecodable.put("unknown-schema", new byte[] {0, 0, 0, 3, -25, 0, 0});
    final Map<String, PromptRequest> invalid = new LinkedHashMap<>();
    invalid.put("prompt: is empty", prompt("empty").setPrompt("").build());
    invalid.put(
        "prompt: has 4200 tokens, but the context holds 4096",
        prompt("long").setPrompt(null).setTokenIds(Collections.nCopies(4200, 5)).build());
    invalid.put(
        "temperature: NaN is not a finite number of 0 or more",
        prompt("hot")
            .setSampling(Sampling.newBuilder().setTemperature(Double.NaN).build())
            .build());
    invalid.put(
        "model: gpt is not served here; valid is storyteller",
        prompt("model").setModel("gpt").build());
    invalid.put(
        "messages: roles are system, user and assistant, not ghost",
        prompt("chat").setPrompt(null).setMessages(List.of(message("ghost", "Boo"))).build());
    final List<PromptRequest> good =
        List.of(Stories.ofLength("good-1", 30, 20), Stories.sampled("good-2", 300, 20));
    final PromptRequest text =
        prompt("text")
            .setPrompt("Once upon a time")
            .setMaxTokens(20)
            .setSampling(Stories.greedy())
            .build();
    final PromptRequest conversation =
        PromptRequest.newBuilder(text)
            .setId("conversation")
            .setPrompt(null)
            .setMessages(List.of(message("system", "Once upon"), message("user", " a time\n")))
            .build();
    final Map<String, Object> properties = properties("bad", 1);

    // when
    try (Application application = Application.start(properties);
        TokenLog tokens = new TokenLog(broker.bootstrapServers(), "bad-tokens");
        Oracle oracle = new Oracle()) {
      Prompts.send(broker.bootstrapServers(), "bad-prompts", good.subList(0, 1));
      send("bad-prompts", undecodable);
      Prompts.send(broker.bootstrapServers(), "bad-prompts", invalid.values());
      Prompts.send(broker.bootstrapServers(), "bad-prompts", good.subList(1, 2));
      Prompts.send(broker.bootstrapServers(), "bad-prompts", List.of(conversation));
      tokens.awaitTerminals(invalid.size() + good.size() + 1, LIMIT);

      // then: the good ones are answered
      for (final PromptRequest request : good) {
        tokens.assertExactlyOnce(request.getId().orElseThrow(), oracle.answers(request));
      }
      // and the conversation, as the model's chat template writes it down
      tokens.assertExactlyOnce("conversation", oracle.answers(text));
      // and the invalid ones, in both outputs
      final Map<String, Completion> completions =
          completions("bad-completions", tokens.ids().size());
      assertThat(completions).containsOnlyKeys(tokens.ids());
      invalid.forEach(
          (message, request) -> {
            final String id = request.getId().orElseThrow();
            assertThat(tokens.of(id))
                .singleElement()
                .satisfies(
                    record -> {
                      assertThat(record.getFinishReason()).contains(FinishReason.ERROR);
                      assertThat(record.getError().orElseThrow()).contains(message);
                    });
            assertThat(completions.get(id).getError().orElseThrow()).contains(message);
          });
      assertThat(completions.get("good-1").getText())
          .isEqualTo(oracle.answers(good.getFirst()).getFirst().text());
      assertThat(application.isRunning()).isTrue();
    }
    // and what was no good lies with the dead letters as it came
    final List<ConsumerRecord<String, byte[]>> letters =
        read("bad-dead-letters", undecodable.size() + invalid.size());
    assertThat(letters).hasSize(undecodable.size() + invalid.size());
    undecodable.forEach(
        (key, value) -> {
          final ConsumerRecord<String, byte[]> letter = letter(letters, key);
          assertThat(letter.value()).isEqualTo(value);
          assertThat(header(letter, "traceparent")).isEqualTo("00-1-2-01");
          assertThat(header(letter, "__streams.errors.topic")).isEqualTo("bad-prompts");
          assertThat(header(letter, "__streams.errors.partition")).isEqualTo("0");
          assertThat(header(letter, "__streams.errors.offset")).matches("[12]");
          assertThat(header(letter, "__streams.errors.exception"))
              .contains("SerializationException");
          assertThat(header(letter, "__streams.errors.message")).isNotEmpty();
          assertThat(header(letter, "__streams.errors.stacktrace")).contains("PromptDecoder");
        });
    invalid.forEach(
        (message, request) -> {
          final ConsumerRecord<String, byte[]> letter =
              letter(letters, request.getId().orElseThrow());
          assertThat(header(letter, "__streams.errors.message")).contains(message);
          assertThat(
                  SarathiSerdes.promptRequest(REGISTRY)
                      .deserializer()
                      .deserialize("", letter.value()))
              .hasToString(request.toString()); // a NaN equals nothing
        });

    // when: all of it once more, and one that ends it
    try (Application application = Application.start(properties);
        TokenLog tokens = new TokenLog(broker.bootstrapServers(), "bad-tokens")) {
      Prompts.send(broker.bootstrapServers(), "bad-prompts", good);
      Prompts.send(broker.bootstrapServers(), "bad-prompts", invalid.values());
      Prompts.send(
          broker.bootstrapServers(), "bad-prompts", List.of(Stories.ofLength("last", 10, 1)));
      final int all = invalid.size() + good.size() + 2; // the conversation, and the last
      tokens.awaitTerminals(all, LIMIT);

      // then: no request is answered twice
      assertThat(tokens.terminals()).isEqualTo(all);
      assertThat(completions("bad-completions", all)).hasSize(all);
      assertThat(read("bad-dead-letters", 12)).hasSize(12);
      assertThat(application.isRunning()).isTrue();
    }
  }

  @Test
  void shouldResumeWhatTheLastApplicationLeft() throws Exception {
    // given: more generations than fit before it is closed, of two threads
    final List<PromptRequest> requests = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      requests.add(
          i % 2 == 0
              ? Stories.ofLength("left-" + i, 20 + 40 * i, 2_500)
              : Stories.sampled("left-" + i, 20 + 40 * i, 2_500));
    }
    final Map<String, Object> properties = properties("left", 3);
    properties.put("num.stream.threads", 2);
    final Application first = Application.start(properties);
    try (TokenLog log = new TokenLog(broker.bootstrapServers(), "left-tokens");
        Oracle oracle = new Oracle()) {
      assertPartitions("left", 3);
      Prompts.send(broker.bootstrapServers(), "left-prompts", requests);
      final long deadline = System.nanoTime() + LIMIT.toNanos();
      while (log.tokens() < 500) {
        assertThat(System.nanoTime()).as("%d tokens", log.tokens()).isLessThan(deadline);
        log.poll();
      }

      // when
      final long start = System.nanoTime();
      first.close();

      // then
      assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(10));
      assertThat(first.awaitStop()).isTrue();
      assertThat(log.terminals()).isLessThan(requests.size());

      // when: without the wait for the session of the first to time out, 45 s by default
      final ListAppender<ILoggingEvent> restoration = new ListAppender<>();
      RESTORING.addAppender(restoration);
      restoration.start();
      try (Application second = Application.start(properties)) {
        log.awaitTerminals(requests.size(), Duration.ofSeconds(40));
        assertThat(second.isRunning()).isTrue();
      } finally {
        RESTORING.detachAppender(restoration);
      }

      // then it went on with the stores that the first left, rather than wipe and restore them
      assertThat(restoration.list)
          .extracting(ILoggingEvent::getFormattedMessage)
          .noneMatch(message -> message.contains("did not find checkpoint"));

      // then
      for (final PromptRequest request : requests) {
        log.assertExactlyOnce(request.getId().orElseThrow(), oracle.answers(request));
      }
      assertThat(requests)
          .as("resumed in mid-generation")
          .anyMatch(
              request -> {
                final List<TokenRecord> records = log.of(request.getId().orElseThrow());
                return records.getFirst().getAttempt() == 1 && records.getLast().getAttempt() == 2;
              });
    } finally {
      first.close();
    }
  }

  @Test
  void shouldKeepTheStoresOfTasksThatNeverHadATurn() {
    // given: closed as soon as it ran, as happens to tasks that a rebalance hands on at once
    final Map<String, Object> properties = properties("idle", 2);
    properties.put("sarathi.drain.interval.ms", 600_000);
    try (Application first = Application.start(properties)) {
      await().atMost(LIMIT).until(first::isRunning);
    }
    final ListAppender<ILoggingEvent> restoration = new ListAppender<>();
    RESTORING.addAppender(restoration);
    RESTORING.setLevel(Level.INFO);
    restoration.start();

    // when
    try (Application second = Application.start(properties)) {
      await().atMost(LIMIT).until(second::isRunning);
    } finally {
      RESTORING.setLevel(null);
      RESTORING.detachAppender(restoration);
    }

    // then
    assertThat(restoration.list)
        .extracting(ILoggingEvent::getFormattedMessage)
        .anyMatch(message -> message.contains("generate-finished initialized from checkpoint"))
        .noneMatch(message -> message.contains("did not find checkpoint"));
  }

  @Test
  void shouldServeAndCancelUnderTheStreamsGroupProtocol() {
    // given
    final Map<String, Object> properties = properties("protocol", 2);
    properties.put("group.protocol", "streams");
    final PromptRequest request = Stories.ofLength("short", 20, 20);
    try (Application application = Application.start(properties);
        TokenLog log = new TokenLog(broker.bootstrapServers(), "protocol-tokens");
        Oracle oracle = new Oracle()) {
      Prompts.send(
          broker.bootstrapServers(),
          "protocol-prompts",
          List.of(request, Stories.endless("endless")));
      final long deadline = System.nanoTime() + LIMIT.toNanos();
      while (log.of("endless").isEmpty()) {
        assertThat(System.nanoTime()).isLessThan(deadline);
        log.poll();
      }

      // when
      send("protocol-prompts", Collections.singletonMap("endless", null));
      log.awaitTerminals(2, LIMIT);

      // then
      log.assertExactlyOnce("short", oracle.answers(request));
      final TokenRecord last = log.of("endless").getLast();
      assertThat(last.getFinishReason()).contains(FinishReason.CANCELLED);
      assertThat(last.getIndex()).isBetween(1, Stories.ENDLESS - 1);
      assertThat(application.isRunning()).isTrue();
    }
  }

  private static Map<String, Object> properties(final String name, final int partitions) {
    final Map<String, Object> properties = new HashMap<>(REGISTRY);
    properties.put("bootstrap.servers", broker.bootstrapServers());
    properties.put("application.id", name);
    properties.put("state.dir", directory.resolve(name).toString());
    properties.put("sarathi.model", Stories.MODEL.toString());
    properties.put("sarathi.cpu.threads", 1);
    properties.put("sarathi.prompts.topic", name + "-prompts");
    properties.put("sarathi.tokens.topic", name + "-tokens");
    properties.put("sarathi.completions.topic", name + "-completions");
    properties.put("sarathi.dead.letters.topic", name + "-dead-letters");
    properties.put("sarathi.topics.partitions", partitions);
    return properties;
  }

  private static ChatMessage message(final String role, final String content) {
    return ChatMessage.newBuilder().setRole(role).setContent(content).build();
  }

  private static PromptRequest.Builder prompt(final String id) {
    return PromptRequest.newBuilder().setId(id).setPrompt("Once upon a time").setMaxTokens(5);
  }

  private static void send(final String topic, final Map<String, byte[]> values) {
    try (Producer<String, byte[]> producer =
        new KafkaProducer<>(
            Map.of("bootstrap.servers", broker.bootstrapServers()),
            new StringSerializer(),
            new ByteArraySerializer())) {
      values.forEach(
          (key, value) -> {
            final ProducerRecord<String, byte[]> record = new ProducerRecord<>(topic, key, value);
            record.headers().add("traceparent", "00-1-2-01".getBytes(StandardCharsets.UTF_8));
            producer.send(record);
          });
    }
  }

  /** All records of a topic, once there are so many, and what may come within half a second. */
  private static List<ConsumerRecord<String, byte[]>> read(final String topic, final int count) {
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
      consumer.assign(
          consumer.partitionsFor(topic).stream()
              .map(partition -> new TopicPartition(topic, partition.partition()))
              .toList());
      consumer.seekToBeginning(consumer.assignment());
      final long deadline = System.nanoTime() + LIMIT.toNanos();
      while (records.size() < count) {
        assertThat(System.nanoTime()).as("%s: %d", topic, records.size()).isLessThan(deadline);
        consumer.poll(Duration.ofMillis(100)).forEach(records::add);
      }
      consumer.poll(Duration.ofMillis(500)).forEach(records::add);
    }
    return records;
  }

  private static Map<String, Completion> completions(final String topic, final int count) {
    final Map<String, Completion> completions = new HashMap<>();
    for (final ConsumerRecord<String, byte[]> record : read(topic, count)) {
      final Completion completion =
          SarathiSerdes.completion(REGISTRY).deserializer().deserialize(topic, record.value());
      assertThat(completion.getRequestId()).isEqualTo(record.key());
      assertThat(completions.put(record.key(), completion)).as("a second completion").isNull();
    }
    return completions;
  }

  private static ConsumerRecord<String, byte[]> letter(
      final List<ConsumerRecord<String, byte[]>> letters, final String key) {
    final List<ConsumerRecord<String, byte[]>> found =
        letters.stream().filter(letter -> letter.key().equals(key)).toList();
    assertThat(found).as("dead letters of %s", key).hasSize(1);
    return found.getFirst();
  }

  private static String header(final ConsumerRecord<String, byte[]> record, final String name) {
    final Headers headers = record.headers();
    assertThat(headers.lastHeader(name)).as(name).isNotNull();
    return new String(headers.lastHeader(name).value(), StandardCharsets.UTF_8);
  }

  private static void assertPartitions(final String name, final int partitions) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker.bootstrapServers()))) {
      final Set<String> topics =
          Set.of(
              name + "-prompts", name + "-tokens", name + "-completions", name + "-dead-letters");
      assertThat(admin.describeTopics(topics).allTopicNames().get().values())
          .hasSize(4)
          .allSatisfy(topic -> assertThat(topic.partitions()).hasSize(partitions));
    }
  }
}
