package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.broker.DevelopmentBroker;
import io.confluent.kafka.serializers.KafkaAvroSerializer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.SchemaBuilder;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Records that other programs write: of other versions of the contract, and of none. */
class BadRecordsTest {
  private static final Map<String, Object> REGISTRY = Map.of("schema.registry.url", "mock://tests");
  private static final Duration LIMIT = Duration.ofSeconds(60);

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
  void shouldServeThePromptsOfOlderAndNewerWriters() {
    // given: one that knows a prompt only, and one that knows more than we do
    final Schema older =
        SchemaBuilder.record("PromptRequest")
            .namespace("dev.sarathi.schemas")
            .fields()
            .requiredString("prompt")
            .endRecord();
    final Schema newer =
        new Schema.Parser()
            .parse(
                PromptRequest.getClassSchema()
                    .toString()
                    .replaceFirst(
                        "\"fields\":\\[",
                        "\"fields\":[{\"name\":\"future\",\"type\":\"int\",\"default\":0},")
                    .replace(
                        "[\"INTERACTIVE\",\"BULK\"]", "[\"INTERACTIVE\",\"BULK\",\"URGENT\"]"));
    final Schema priority = newer.getField("priority").schema();
    final GenericRecord urgent =
        new GenericRecordBuilder(newer)
            .set("future", 7)
            .set("prompt", "Once upon a time")
            .set("max_tokens", 12)
            .set("priority", new GenericData.EnumSymbol(priority, "URGENT"))
            .build();
    try (Application application = Application.start(properties("versions"));
        TokenLog log = new TokenLog(broker.bootstrapServers(), "versions-tokens");
        Producer<String, Object> producer = avroProducer()) {
      // when
      producer.send(
          new ProducerRecord<>(
              "versions-prompts",
              "older",
              new GenericRecordBuilder(older).set("prompt", "Once upon a time").build()));
      producer.send(new ProducerRecord<>("versions-prompts", "newer", urgent));
      log.awaitTerminals(2, LIMIT);

      // then: the older one by our defaults, of the newer one what we know
      assertThat(log.of("older").getLast().getFinishReason().orElseThrow())
          .isIn(FinishReason.STOP, FinishReason.LENGTH);
      assertThat(log.of("older").stream().mapToInt(part -> part.getTokenIds().size()).sum())
          .isPositive();
      assertThat(log.of("newer").stream().mapToInt(part -> part.getTokenIds().size()).sum())
          .isBetween(1, 12);
      assertThat(application.isRunning()).isTrue();
    }
  }

  @Test
  void shouldLeaveDeadLettersThatKafkasConsoleConsumerReads() throws Exception {
    // given
    final byte[] undecodable = {(byte) 0xFF, 'n', 'o', ' ', 'A', 'v', 'r', 'o', 0, 1};
    final byte[] unknownSchema = {0, 0, 0, 3, -25, 'x'};
    final byte[] invalid;
    try (Serializer<PromptRequest> serializer =
        SarathiSerdes.promptRequest(REGISTRY).serializer()) {
      invalid =
          serializer.serialize(
              "letters-prompts", PromptRequest.newBuilder().setId("empty").setPrompt("").build());
    }
    final Map<String, byte[]> bad =
        Map.of("undecodable", undecodable, "unknown", unknownSchema, "invalid", invalid);
    try (Application application = Application.start(properties("letters"));
        TokenLog log = new TokenLog(broker.bootstrapServers(), "letters-tokens")) {
      try (Producer<String, byte[]> producer =
          new KafkaProducer<>(client(), new StringSerializer(), new ByteArraySerializer())) {
        bad.forEach(
            (key, value) -> {
              final ProducerRecord<String, byte[]> record =
                  new ProducerRecord<>("letters-prompts", key, value);
              record
                  .headers()
                  .add("traceparent", ("trace-" + key).getBytes(StandardCharsets.UTF_8));
              producer.send(record);
            });
      }
      log.awaitTerminals(1, LIMIT);
      Prompts.send(
          broker.bootstrapServers(), "letters-prompts", List.of(Stories.ofLength("good", 10, 5)));
      log.awaitTerminals(2, LIMIT);
      assertThat(log.of("empty")).singleElement().extracting(TokenRecord::getLast).isEqualTo(true);
      assertThat(application.isRunning()).isTrue();
    }

    // when: as the guide tells
    final List<String> commands = KafkaTool.commandsOf("kafka-console-consumer");
    assertThat(commands).hasSize(1);
    final String printed =
        KafkaTool.text(
            KafkaTool.run(
                commands.getFirst(),
                Map.of(
                    "localhost:9092", broker.bootstrapServers(), "dead-letters", "letters-letters"),
                "--max-messages",
                "3",
                "--timeout-ms",
                "30000"));

    // then: headers of the record and of its error, key and original bytes
    bad.forEach(
        (key, value) ->
            assertThat(printed)
                .contains("traceparent:trace-" + key + ",__streams.errors.exception:")
                .contains("\t" + key + "\t" + KafkaTool.text(value) + "\n"));
    assertThat(printed)
        .contains(
            "__streams.errors.exception:org.apache.kafka.common.errors.SerializationException")
        .contains(
            "__streams.errors.exception:dev.sarathi.runtime.InvalidRequestException,"
                + "__streams.errors.message:prompt: is empty")
        .contains("__streams.errors.topic:letters-prompts,__streams.errors.partition:0,")
        .contains("__streams.errors.offset:0", "__streams.errors.offset:1")
        .contains("__streams.errors.stacktrace:");
  }

  private static Producer<String, Object> avroProducer() {
    final KafkaAvroSerializer serializer = new KafkaAvroSerializer();
    serializer.configure(REGISTRY, false);
    return new KafkaProducer<>(client(), new StringSerializer(), serializer);
  }

  private static Map<String, Object> client() {
    return Map.of("bootstrap.servers", broker.bootstrapServers());
  }

  private static Map<String, Object> properties(final String name) {
    final Map<String, Object> properties = new HashMap<>(REGISTRY);
    properties.put("bootstrap.servers", broker.bootstrapServers());
    properties.put("application.id", name);
    properties.put("state.dir", directory.resolve(name).toString());
    properties.put("sarathi.model", Stories.MODEL.toString());
    properties.put("sarathi.default.max.tokens", 20);
    properties.put("sarathi.prompts.topic", name + "-prompts");
    properties.put("sarathi.tokens.topic", name + "-tokens");
    properties.put("sarathi.completions.topic", "");
    properties.put("sarathi.dead.letters.topic", name + "-letters");
    properties.put("sarathi.topics.partitions", 1);
    return properties;
  }
}
