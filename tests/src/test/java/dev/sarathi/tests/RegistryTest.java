package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.JobProgress;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.broker.DevelopmentBroker;
import io.confluent.kafka.schemaregistry.avro.AvroSchema;
import io.confluent.kafka.schemaregistry.avro.AvroSchemaUtils;
import io.confluent.kafka.schemaregistry.client.CachedSchemaRegistryClient;
import io.confluent.kafka.schemaregistry.client.SchemaRegistryClient;
import io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException;
import io.confluent.kafka.serializers.KafkaAvroSerializer;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.avro.Schema;
import org.apache.avro.SchemaBuilder;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.specific.SpecificRecord;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
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
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The application with a real schema registry: Apicurio's, which speaks as Confluent's does. */
@Tag("long")
class RegistryTest {
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final Path HISTORY =
      Path.of(
          System.getProperty("sarathi.home", ".."), "schemas/src/test/resources/schema-history");

  @TempDir private static Path directory;
  private static RegistryProcess registry;
  private static SchemaRegistryClient schemas;
  private static DevelopmentBroker broker;

  @BeforeAll
  static void start() throws Exception {
    registry = RegistryProcess.start(directory.resolve("registry"));
    schemas = new CachedSchemaRegistryClient(registry.url(), 100);
    broker = DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")));
  }

  @AfterAll
  static void stop() throws Exception {
    broker.close();
    schemas.close();
    registry.close();
  }

  // ---- registration

  @Test
  void shouldRegisterTheSchemasOfItsOutputsAndNoOthers() throws Exception {
    try (Application application = Application.start(properties("registers", registry.url()))) {
      // then: before the first record
      assertThat(subjects("registers"))
          .containsExactlyInAnyOrder(
              "registers-tokens-value", "registers-completions-value", "registers-jobs-value");

      // when
      answer("registers", Stories.ofLength("request", 10, 5));

      // then: the ids on the wire are the registry's, and the prompts' subject is the producer's
      assertThat(subjects("registers")).contains("registers-prompts-value").hasSize(4);
      for (final String output : List.of("tokens", "completions", "prompts")) {
        final String topic = "registers-" + output;
        assertThat(records(topic, 1))
            .as(topic)
            .allSatisfy(
                record ->
                    assertThat(ByteBuffer.wrap(record.value()).getInt(1))
                        .isEqualTo(schemas.getLatestSchemaMetadata(topic + "-value").getId()));
      }
      assertThat(application.isRunning()).isTrue();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldUseWhatIsRegistered(final boolean latest) throws Exception {
    // given
    final String name = "registered-" + latest;
    final Map<String, Object> properties = properties(name, registry.url());
    properties.put("auto.register.schemas", false);
    properties.put("use.latest.version", latest);
    register(name + "-tokens-value", new TokenRecord());
    register(name + "-completions-value", new Completion());
    register(name + "-jobs-value", new JobProgress());

    // when
    try (Application application = Application.start(properties)) {
      answer(name, Stories.ofLength("request", 10, 5));
      assertThat(application.isRunning()).isTrue();
    }

    // then
    for (final String output : List.of("tokens", "completions", "jobs")) {
      assertThat(schemas.getAllVersions("%s-%s-value".formatted(name, output))).hasSize(1);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldNameTheSubjectThatIsMissing(final boolean latest) throws Exception {
    // given
    final String name = "missing-" + latest;
    final Map<String, Object> properties = properties(name, registry.url());
    properties.put("auto.register.schemas", false);
    properties.put("use.latest.version", latest);
    register(name + "-tokens-value", new TokenRecord());

    // when, then
    assertThatThrownBy(() -> Application.start(properties).close())
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("refuses subject %s-completions-value".formatted(name))
        .hasMessageContaining("for the records of topic %s-completions".formatted(name))
        .hasMessageContaining("auto.register.schemas=false");
  }

  // ---- evolution

  @Test
  void shouldLetTheRegistryRefuseABreakingChange() throws Exception {
    // given
    register("breaking-prompts-value", new PromptRequest());
    schemas.updateCompatibility("breaking-prompts-value", "BACKWARD");
    final Schema breaking =
        SchemaBuilder.record("PromptRequest")
            .namespace("dev.sarathi.schemas")
            .fields()
            .requiredString("prompt")
            .requiredInt("importance")
            .endRecord();
    final GenericRecord record =
        new GenericRecordBuilder(breaking).set("prompt", "Once").set("importance", 7).build();

    // when
    final Throwable refusal;
    try (Serializer<Object> serializer = serializer(Map.of())) {
      refusal = catchThrowable(() -> serializer.serialize("breaking-prompts", record));
    }

    // then
    assertThat(refusal)
        .hasRootCauseInstanceOf(RestClientException.class)
        .rootCause()
        .extracting(cause -> ((RestClientException) cause).getStatus())
        .isEqualTo(409);
    assertThat(schemas.getAllVersions("breaking-prompts-value")).hasSize(1);
  }

  @Test
  void shouldNameTheSubjectWhoseCompatibilityForbidsItsSchema() throws Exception {
    // given
    final Schema other =
        SchemaBuilder.record("TokenRecord")
            .namespace("dev.sarathi.schemas")
            .fields()
            .requiredString("request_id")
            .requiredString("index")
            .endRecord();
    schemas.register("forbids-tokens-value", new AvroSchema(other));
    schemas.updateCompatibility("forbids-tokens-value", "BACKWARD");

    // when, then
    assertThatThrownBy(() -> Application.start(properties("forbids", registry.url())).close())
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("refuses subject forbids-tokens-value")
        .hasMessageContaining("compatibility level");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "BACKWARD",
        "BACKWARD_TRANSITIVE",
        "FORWARD",
        "FORWARD_TRANSITIVE",
        "FULL",
        "FULL_TRANSITIVE"
      })
  void shouldRegisterEveryPublishedVersionOneAfterTheOther(final String level) throws Exception {
    for (final String contract :
        List.of("PromptRequest", "TokenRecord", "Completion", "JobProgress")) {
      // given
      final String subject = "history-%s-%s-value".formatted(level, contract);
      final List<Schema> versions = history(contract);
      schemas.register(subject, new AvroSchema(versions.getFirst()));
      schemas.updateCompatibility(subject, level);

      // when
      for (final Schema version : versions) {
        schemas.register(subject, new AvroSchema(version));
      }

      // then
      assertThat(schemas.getAllVersions(subject)).as(subject).hasSameSizeAs(versions);
    }
  }

  @Test
  void shouldAnswerPromptsOfEveryPublishedVersion() throws Exception {
    // given
    final List<Schema> versions = history("PromptRequest");
    assertThat(versions).hasSizeGreaterThan(2);
    try (Application application = Application.start(properties("versions", registry.url()));
        TokenLog log = tokens("versions")) {
      // when
      for (int version = 1; version <= versions.size(); version++) {
        sendAvro(
            "versions",
            "v" + version,
            new GenericRecordBuilder(versions.get(version - 1))
                .set("prompt", "Once upon a time")
                .set("max_tokens", 5)
                .build());
      }
      log.awaitTerminals(versions.size(), LIMIT);

      // then
      assertThat(schemas.getAllVersions("versions-prompts-value")).hasSameSizeAs(versions);
      for (int version = 1; version <= versions.size(); version++) {
        assertThat(log.of("v" + version).getLast().getFinishReason().orElseThrow())
            .isIn(FinishReason.STOP, FinishReason.LENGTH);
      }
      assertThat(application.isRunning()).isTrue();
    }
  }

  // ---- ids that the registry does not know

  @Test
  void shouldLeaveAPromptOfAnUnknownSchemaToTheDeadLetters() throws Exception {
    // given
    final byte[] value = {0, 0, 15, 66, 63, 'x'};
    try (Application application = Application.start(properties("unknown", registry.url()))) {
      // when
      try (Producer<String, byte[]> producer =
          new KafkaProducer<>(client(), new StringSerializer(), new ByteArraySerializer())) {
        producer.send(new ProducerRecord<>("unknown-prompts", "key", value));
      }
      answer("unknown", Stories.ofLength("good", 10, 5));

      // then
      final List<ConsumerRecord<byte[], byte[]>> letters = records("unknown-letters", 1);
      assertThat(letters).hasSize(1);
      assertThat(letters.getFirst().key()).isEqualTo("key".getBytes(StandardCharsets.UTF_8));
      assertThat(letters.getFirst().value()).isEqualTo(value);
      assertThat(
              new String(
                  letters.getFirst().headers().lastHeader("__streams.errors.message").value(),
                  StandardCharsets.UTF_8))
          .contains("999999");
      assertThat(application.isRunning()).isTrue();
    }
  }

  // ---- a registry that is away

  @Test
  void shouldSayWhichRegistryIsAwayAndEnd() throws Exception {
    // given
    try (RegistryProxy proxy = RegistryProxy.to(registry.url())) {
      final Map<String, Object> properties = properties("away", proxy.url());
      properties.put("sarathi.startup.timeout.ms", 3_000);

      // when
      try (ApplicationProcess application =
          ApplicationProcess.start(directory.resolve("away"), properties)) {
        assertThat(application.process().waitFor(30, TimeUnit.SECONDS)).isTrue();

        // then
        assertThat(application.process().exitValue()).isEqualTo(1);
        assertThat(application.logged().lines().filter(line -> line.startsWith("sarathi: ")))
            .containsExactly(
                "sarathi: the schema registry at schema.registry.url=%s could not be asked within sarathi.startup.timeout.ms=3000 ms: java.net.ConnectException: Connection refused"
                    .formatted(proxy.url()));
        assertThat(application.logged().lines().filter(line -> line.contains("is away")))
            .hasSize(1);
      }
    }
  }

  @Test
  void shouldStartWhenTheRegistryComesUpMeanwhile() throws Exception {
    try (RegistryProxy proxy = RegistryProxy.to(registry.url())) {
      // given
      final CompletableFuture<Application> starting =
          CompletableFuture.supplyAsync(() -> Application.start(properties("later", proxy.url())));
      assertThatThrownBy(() -> starting.get(3, TimeUnit.SECONDS))
          .isInstanceOf(java.util.concurrent.TimeoutException.class);

      // when
      proxy.open();

      // then
      try (Application application = starting.get(30, TimeUnit.SECONDS)) {
        answer("later", Stories.ofLength("request", 10, 5));
        assertThat(application.isRunning()).isTrue();
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"refuses, false", "hangs, true"})
  void shouldGoOnWithoutTheRegistryAndAnswerTheRestWhenItIsBack(
      final String name, final boolean hangs) throws Exception {
    final List<PromptRequest> running =
        List.of(Stories.ofLength("first", 20, 400), Stories.sampled("second", 30, 400));
    final PromptRequest meanwhile = Stories.ofLength("meanwhile", 15, 20);
    try (RegistryProxy proxy = RegistryProxy.to(registry.url()).open();
        ApplicationProcess application = paced(name, proxy);
        TokenLog log = tokens(name)) {
      // given: generations that run
      send(name, running);
      await(log, application, 2);

      // when
      if (hangs) {
        proxy.hang();
      } else {
        proxy.refuse();
      }
      for (int i = 0; i < 5; i++) {
        sendUnseen(name, "held-" + i);
      }
      Prompts.cancel(broker.bootstrapServers(), name + "-prompts", List.of("held-3"));
      send(name, List.of(meanwhile));

      // then: all but those that need the registry go on, to their ends
      log.awaitTerminals(3, LIMIT);
      assertThat(log.ids()).containsExactlyInAnyOrder("first", "second", "meanwhile");

      // when
      proxy.open();
      log.awaitTerminals(3 + 5, LIMIT);

      // then
      for (int i = 0; i < 5; i++) {
        assertThat(log.of("held-" + i).getLast().getFinishReason())
            .contains(i == 3 ? FinishReason.CANCELLED : FinishReason.LENGTH);
      }
      try (Oracle oracle = new Oracle()) {
        for (final PromptRequest request :
            List.of(running.getFirst(), running.getLast(), meanwhile)) {
          log.assertExactlyOnce(request.getId().orElseThrow(), oracle.answers(request));
        }
      }
      assertThat(log.attempts("first")).as("attempts, %s", application.logged()).isEqualTo(1);
      assertThat(records(name + "-letters", 0)).isEmpty();
      assertThat(records(name + "-completions", 8)).hasSize(8);
      assertThat(application.logged())
          .containsOnlyOnce("the schema registry is away")
          .containsOnlyOnce("the schema registry answers again")
          .doesNotContain("is being fenced");
    }
  }

  @ParameterizedTest
  @CsvSource({"stopped, true", "killed, false"})
  void shouldEndWithoutTheRegistryAndAnswerAfterTheNextStart(final String name, final boolean stop)
      throws Exception {
    final PromptRequest running = Stories.ofLength("running", 20, 400);
    try (RegistryProxy proxy = RegistryProxy.to(registry.url()).open();
        ApplicationProcess application = paced(name, proxy);
        TokenLog log = tokens(name)) {
      // given: a prompt that is held, and a generation that runs
      send(name, List.of(running));
      await(log, application, 1);
      proxy.hang();
      sendUnseen(name, "held");
      application.awaitLine("the schema registry is away", LIMIT);
      Thread.sleep(1_000);

      // when
      if (stop) {
        application.process().destroy();
        assertThat(application.process().waitFor(10, TimeUnit.SECONDS)).isTrue();
        assertThat(application.logged()).contains("streams NOT_RUNNING").doesNotContain("ERROR");
      } else {
        application.kill();
      }
      log.poll();
      assertThat(log.terminals()).as("ended before the end").isZero();
      final CompletableFuture<Void> back =
          CompletableFuture.runAsync(
              () -> {
                try {
                  Thread.sleep(2_000);
                  proxy.open();
                } catch (final Exception e) {
                  throw new IllegalStateException(e);
                }
              });
      application.start();

      // then
      log.awaitTerminals(2, LIMIT);
      back.join();
      assertThat(log.of("held").getLast().getFinishReason()).contains(FinishReason.LENGTH);
      try (Oracle oracle = new Oracle()) {
        log.assertExactlyOnce("running", oracle.answers(running));
      }
      assertThat(records(name + "-letters", 0)).isEmpty();
    }
  }

  @Test
  void shouldEndWhenAskedToWhileItWaitsForTheRegistry() throws Exception {
    try (RegistryProxy proxy = RegistryProxy.to(registry.url())) {
      proxy.hang();
      try (ApplicationProcess application =
          ApplicationProcess.start(
              directory.resolve("waiting"), properties("waiting", proxy.url()))) {
        application.awaitLine("is away", LIMIT);

        // when
        application.process().destroy();

        // then
        assertThat(application.process().waitFor(10, TimeUnit.SECONDS)).isTrue();
        assertThat(application.process().exitValue()).isEqualTo(128 + 15);
      }
    }
  }

  // ---- parts

  /** An application that takes seconds for hundreds of tokens. */
  private static ApplicationProcess paced(final String name, final RegistryProxy proxy)
      throws Exception {
    createTopics(name);
    final Map<String, Object> properties = properties(name, proxy.url());
    properties.put("group.instance.id", "instance-1");
    return ApplicationProcess.faulty(directory.resolve(name), properties, Duration.ofMillis(15));
  }

  private static void await(
      final TokenLog log, final ApplicationProcess application, final int generations) {
    final long deadline = System.nanoTime() + LIMIT.toNanos();
    while (log.ids().size() < generations) {
      assertThat(System.nanoTime()).as(application::logged).isLessThan(deadline);
      log.poll();
    }
    assertThat(log.terminals()).as("ended before the outage").isZero();
  }

  /** Sends a prompt with a schema that the application has not seen. */
  private static void sendUnseen(final String name, final String key) {
    final Schema unseen =
        SchemaBuilder.record("PromptRequest")
            .namespace("dev.sarathi.schemas")
            .doc("of " + name + ", for " + key)
            .fields()
            .requiredString("prompt")
            .requiredInt("max_tokens")
            .requiredBoolean("ignore_eos")
            .endRecord();
    sendAvro(
        name,
        key,
        new GenericRecordBuilder(unseen)
            .set("prompt", "Once upon a time")
            .set("max_tokens", 8)
            .set("ignore_eos", true)
            .build());
  }

  private static void sendAvro(final String name, final String key, final GenericRecord value) {
    try (Producer<String, Object> producer =
        new KafkaProducer<>(client(), new StringSerializer(), serializer(Map.of()))) {
      producer.send(new ProducerRecord<>(name + "-prompts", key, value));
    }
  }

  private static Serializer<Object> serializer(final Map<String, Object> settings) {
    final Map<String, Object> config = new HashMap<>(settings);
    config.put("schema.registry.url", registry.url());
    final KafkaAvroSerializer serializer = new KafkaAvroSerializer();
    serializer.configure(config, false);
    return serializer;
  }

  private static void send(final String name, final List<PromptRequest> requests) {
    Prompts.send(broker.bootstrapServers(), name + "-prompts", registry.url(), requests);
  }

  private static TokenLog tokens(final String name) {
    return new TokenLog(broker.bootstrapServers(), name + "-tokens", registry.url());
  }

  private static void answer(final String name, final PromptRequest request) {
    try (TokenLog log = tokens(name)) {
      send(name, List.of(request));
      log.awaitTerminals(1, LIMIT);
      assertThat(log.of(request.getId().orElseThrow()).getLast().getFinishReason())
          .contains(FinishReason.LENGTH);
    }
  }

  private static void register(final String subject, final SpecificRecord contract)
      throws Exception {
    schemas.register(
        subject, new AvroSchema(AvroSchemaUtils.getSchema(contract, false, false, true)));
  }

  private static List<String> subjects(final String name) throws Exception {
    return schemas.getAllSubjects().stream()
        .filter(subject -> subject.startsWith(name + "-"))
        .toList();
  }

  private static List<Schema> history(final String contract) throws Exception {
    final List<Schema> versions = new ArrayList<>();
    for (int version = 1; ; version++) {
      final Path file = HISTORY.resolve(contract).resolve("v" + version + ".avsc");
      if (!Files.exists(file)) {
        return versions;
      }
      versions.add(new Schema.Parser().parse(file.toFile()));
    }
  }

  /** The records of a topic, and those that come in a second after there are so many. */
  private static List<ConsumerRecord<byte[], byte[]>> records(final String topic, final int count) {
    final List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
    try (Consumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(
            Map.of(
                "bootstrap.servers",
                broker.bootstrapServers(),
                "isolation.level",
                "read_committed",
                "auto.offset.reset",
                "earliest"),
            new ByteArrayDeserializer(),
            new ByteArrayDeserializer())) {
      consumer.assign(List.of(new TopicPartition(topic, 0)));
      final long deadline = System.nanoTime() + LIMIT.toNanos();
      while (records.size() < count && System.nanoTime() < deadline) {
        consumer.poll(Duration.ofMillis(100)).forEach(records::add);
      }
      for (int i = 0; i < 10; i++) {
        consumer.poll(Duration.ofMillis(100)).forEach(records::add);
      }
    }
    return records;
  }

  private static void createTopics(final String name) throws Exception {
    try (Admin admin = Admin.create(client())) {
      admin
          .createTopics(
              List.of(
                  new NewTopic(name + "-prompts", 1, (short) 1),
                  new NewTopic(name + "-tokens", 1, (short) 1)))
          .all()
          .get();
    }
  }

  private static Map<String, Object> client() {
    return Map.of("bootstrap.servers", broker.bootstrapServers());
  }

  private static Map<String, Object> properties(final String name, final String url) {
    final Map<String, Object> properties = new HashMap<>(client());
    properties.put("schema.registry.url", url);
    properties.put("application.id", name);
    properties.put("state.dir", directory.resolve(name).resolve("state").toString());
    properties.put("sarathi.model", Stories.MODEL.toString());
    properties.put("sarathi.cpu.threads", 1);
    properties.put("sarathi.prompts.topic", name + "-prompts");
    properties.put("sarathi.tokens.topic", name + "-tokens");
    properties.put("sarathi.completions.topic", name + "-completions");
    properties.put("sarathi.jobs.topic", name + "-jobs");
    properties.put("sarathi.dead.letters.topic", name + "-letters");
    properties.put("sarathi.topics.partitions", 1);
    return properties;
  }
}
