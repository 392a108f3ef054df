package dev.sarathi.schemas;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.confluent.kafka.schemaregistry.avro.AvroSchema;
import io.confluent.kafka.schemaregistry.client.SchemaRegistryClient;
import io.confluent.kafka.schemaregistry.testutil.MockSchemaRegistry;
import io.confluent.kafka.serializers.KafkaAvroSerializer;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.SchemaBuilder;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serializer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class SarathiSerdesTest {

  private static final Map<String, ?> CONFIG = Map.of("schema.registry.url", "mock://serdes");

  private static final PromptRequest REQUEST =
      PromptRequest.newBuilder()
          .setId("r-1")
          .setMessages(List.of(new ChatMessage("user", "Wie heißt du? 🦊")))
          .setSampling(
              Sampling.newBuilder()
                  .setTemperature(0.7)
                  .setTopK(40)
                  .setLogitBias(List.of(new TokenBias(17, -100.0)))
                  .build())
          .setN(3)
          .setMaxTokens(16)
          .setStop(List.of("\n"))
          .setSeed(7L)
          .setPriority(Priority.BULK)
          .setDeadlineMs(60_000L)
          .build();

  private static final TokenRecord TERMINAL =
      TokenRecord.newBuilder()
          .setRequestId("r-1")
          .setIndex(15)
          .setTokenIds(List.of(3, 1, 4))
          .setText(" ende")
          .setLogprobs(List.of(new TokenLogprob(3, -0.5f, List.of(new TopLogprob(1, -0.25f)))))
          .setLast(true)
          .setFinishReason(FinishReason.LENGTH)
          .setUsage(new Usage(9, 18, 0))
          .setTiming(new Timing(0.25, 3.5, 41.0, 7.5))
          .setEmittedAt(Instant.ofEpochMilli(1_700_000_000_123L))
          .setAttempt(2)
          .setFingerprint("f-2")
          .setPreviousFingerprint("f-1")
          .build();

  @AfterEach
  void forgetRegisteredSchemas() {
    MockSchemaRegistry.clear();
  }

  @Test
  void shouldReadBackAPromptRequest() {
    assertThat(roundTrip(SarathiSerdes.promptRequest(CONFIG), REQUEST)).isEqualTo(REQUEST);
  }

  @Test
  void shouldReadBackATokenRecord() {
    assertThat(roundTrip(SarathiSerdes.tokenRecord(CONFIG), TERMINAL)).isEqualTo(TERMINAL);
  }

  @Test
  void shouldWriteEveryRecordAsConfluentsSerializerDoes() {
    assertWritesAsConfluents(
        SarathiSerdes.promptRequest(CONFIG).serializer(),
        List.of(
            REQUEST,
            PromptRequest.newBuilder(REQUEST).setPrompt("x").build(),
            PromptRequest.newBuilder().setTokenIds(List.of(1, -2, 300_000)).build()));
    assertWritesAsConfluents(
        SarathiSerdes.tokenRecord(CONFIG).serializer(),
        List.of(
            TERMINAL,
            TokenRecord.newBuilder()
                .setRequestId("")
                .setIndex(-1)
                .setText("ä€𝄞")
                .setEmittedAt(Instant.EPOCH)
                .build()));
    assertWritesAsConfluents(
        SarathiSerdes.completion(CONFIG).serializer(),
        List.of(
            Completion.newBuilder()
                .setRequestId("r")
                .setChoices(List.of(CompletionChoice.newBuilder().setText("so").build()))
                .setPromptedAt(Instant.EPOCH)
                .setEmittedAt(Instant.ofEpochMilli(9))
                .build()));
    assertWritesAsConfluents(
        SarathiSerdes.jobProgress(CONFIG).serializer(),
        List.of(
            JobProgress.newBuilder().setJobId("j").setWaiting(1L << 40).build(),
            JobProgress.newBuilder()
                .setJobId("j")
                .setStartedAt(Instant.ofEpochMilli(7))
                .setCancelRequested(true)
                .build()));
  }

  private static <T> void assertWritesAsConfluents(
      final Serializer<T> ours, final List<T> records) {
    final KafkaAvroSerializer confluent = new KafkaAvroSerializer();
    final Map<String, Object> config = new HashMap<>(CONFIG);
    config.put("avro.remove.java.properties", true);
    confluent.configure(config, false);
    try (ours) {
      for (final String topic : List.of("a", "a", "b", "a", "b")) {
        for (final T record : records) {
          assertThat(ours.serialize(topic, record)).isEqualTo(confluent.serialize(topic, record));
        }
      }
      assertThat(ours.serialize("a", null)).isNull();
    }
  }

  @Test
  void shouldWriteOnAfterARecordThatCannotBeWritten() {
    try (Serializer<PromptRequest> serializer = SarathiSerdes.promptRequest(CONFIG).serializer()) {
      final byte[] first = serializer.serialize("a", REQUEST);
      final PromptRequest broken = PromptRequest.newBuilder(REQUEST).build();
      broken.put("stop", Arrays.asList("fine", null));

      assertThatThrownBy(() -> serializer.serialize("a", broken))
          .isInstanceOf(SerializationException.class)
          .hasMessageContaining("a PromptRequest for topic a");

      assertThat(serializer.serialize("a", REQUEST)).isEqualTo(first);
    }
  }

  @Test
  void shouldReadBackACompletion() {
    final Completion completion =
        Completion.newBuilder()
            .setRequestId("r-1")
            .setFinishReason(FinishReason.ERROR)
            .setError("the prompt is empty")
            .setChoices(
                List.of(
                    CompletionChoice.newBuilder().setText("so").build(),
                    CompletionChoice.newBuilder().setChoice(1).setText("or so").build()))
            .setPromptedAt(Instant.ofEpochMilli(1_700_000_000_000L))
            .setEmittedAt(Instant.ofEpochMilli(1_700_000_000_009L))
            .build();

    assertThat(roundTrip(SarathiSerdes.completion(CONFIG), completion)).isEqualTo(completion);
  }

  @Test
  void shouldFillInTheDefaultsOfAPromptRequest() {
    final PromptRequest request = PromptRequest.newBuilder().setPrompt("Once").build();

    assertThat(request.getSampling())
        .isEqualTo(new Sampling(1.0, 0, 1.0, 0.0, 1.0, 0.0, 0.0, List.of()));
    assertThat(request.getN()).isEqualTo(1);
    assertThat(request.getPriority()).isEqualTo(Priority.INTERACTIVE);
    assertThat(request.getStop()).isEmpty();
    assertThat(request.getId()).isEmpty();
    assertThat(request.getMaxTokens()).isEmpty();
  }

  @Test
  void shouldPassATombstoneThrough() {
    assertThat(roundTrip(SarathiSerdes.promptRequest(CONFIG), null)).isNull();
  }

  @Test
  void shouldReadAWriterThatKnowsOnlyAPrompt() throws Exception {
    // given a client in another language that writes what it needs
    final Schema schema =
        SchemaBuilder.record("PromptRequest")
            .namespace("dev.sarathi.schemas")
            .fields()
            .requiredString("prompt")
            .endRecord();
    final byte[] bytes =
        foreign(new GenericRecordBuilder(schema).set("prompt", "Once upon a time").build());

    // when
    final PromptRequest request =
        SarathiSerdes.promptRequest(CONFIG).deserializer().deserialize("prompts", bytes);

    // then
    assertThat(request.getPrompt()).contains("Once upon a time");
    assertThat(request.getSampling().getTemperature()).isEqualTo(1.0);
  }

  @Test
  void shouldReadAnUnknownFinishReasonOfANewerWriter() throws Exception {
    // given
    final Schema newer =
        new Schema.Parser()
            .parse(
                SchemaHistory.current(new TokenRecord())
                    .toString()
                    .replace("\"ERROR\"]", "\"ERROR\",\"CONTENT_FILTER\"]"));
    final Schema reason = newer.getField("finish_reason").schema().getTypes().get(1);
    final byte[] bytes =
        foreign(
            new GenericRecordBuilder(newer)
                .set("request_id", "r-1")
                .set("index", 3)
                .set("emitted_at", 0L)
                .set("finish_reason", new GenericData.EnumSymbol(reason, "CONTENT_FILTER"))
                .build());

    // when
    final TokenRecord record =
        SarathiSerdes.tokenRecord(CONFIG).deserializer().deserialize("tokens", bytes);

    // then
    assertThat(record.getFinishReason()).contains(FinishReason.UNKNOWN);
  }

  @Test
  void shouldRefuseARecordOfAnotherContract() {
    final byte[] request =
        SarathiSerdes.promptRequest(CONFIG).serializer().serialize("tokens", REQUEST);

    assertThatThrownBy(
            () -> SarathiSerdes.tokenRecord(CONFIG).deserializer().deserialize("tokens", request))
        .isInstanceOf(SerializationException.class);
  }

  @Test
  void shouldRefuseAConfigurationWithoutARegistry() {
    assertThatThrownBy(() -> SarathiSerdes.promptRequest(Map.of()))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("schema.registry.url");
  }

  @Test
  void shouldGiveTheSameIdsInEveryInMemoryRegistry() {
    // given a process that writes token records before anything else
    final byte[] bytes =
        SarathiSerdes.tokenRecord(CONFIG)
            .serializer()
            .serialize(
                "tokens",
                TokenRecord.newBuilder()
                    .setRequestId("r-1")
                    .setIndex(0)
                    .setEmittedAt(Instant.EPOCH)
                    .build());

    // when another one, with a registry of its own, reads them after it has dealt with completions
    MockSchemaRegistry.clear();
    SarathiSerdes.completion(CONFIG);
    final TokenRecord read =
        SarathiSerdes.tokenRecord(CONFIG).deserializer().deserialize("tokens", bytes);

    // then
    assertThat(read.getRequestId()).isEqualTo("r-1");
    assertThat(schemaId(bytes)).isEqualTo(2);
    assertThat(schemaId(SarathiSerdes.promptRequest(CONFIG).serializer().serialize("p", REQUEST)))
        .isEqualTo(1);
  }

  @Test
  void shouldRegisterTheSchemaWithoutWhatOnlyJavaNeeds() throws Exception {
    SarathiSerdes.promptRequest(CONFIG).serializer().serialize("prompts", REQUEST);

    final SchemaRegistryClient registry = MockSchemaRegistry.getClientForScope("serdes");
    assertThat(registry.getLatestSchemaMetadata("prompts-value").getSchema())
        .isEqualTo(new AvroSchema(SchemaHistory.of("PromptRequest").newest()).canonicalString());
  }

  private static <T> T roundTrip(final Serde<T> serde, final T value) {
    final byte[] bytes = serde.serializer().serialize("topic", value);
    return serde.deserializer().deserialize("topic", bytes);
  }

  /** What a client in another language, which has no generated classes, puts on the wire. */
  private static byte[] foreign(final GenericRecord value) throws Exception {
    final int id =
        MockSchemaRegistry.getClientForScope("serdes")
            .register("topic-value", new AvroSchema(value.getSchema()));
    final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.write(ByteBuffer.allocate(5).put((byte) 0).putInt(id).array());
    final BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(bytes, null);
    new GenericDatumWriter<GenericRecord>(value.getSchema()).write(value, encoder);
    return bytes.toByteArray();
  }

  private static int schemaId(final byte[] bytes) {
    return ByteBuffer.wrap(bytes).getInt(1);
  }
}
