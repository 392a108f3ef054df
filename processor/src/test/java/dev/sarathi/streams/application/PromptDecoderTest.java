package dev.sarathi.streams.application;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpServer;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntSupplier;
import java.util.function.Supplier;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.processor.TaskId;
import org.apache.kafka.streams.processor.api.MockProcessorContext;
import org.apache.kafka.streams.processor.api.MockProcessorContext.CapturedForward;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PromptDecoderTest {
  private static final String IN_MEMORY = "mock://prompt-decoder";

  // ---- a registry that is away, or answers

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          500 | {"error_code":50001,"message":"Error in the backend data store"}
          503 | no healthy upstream
          401 | {"error_code":401,"message":"Unauthorized"}
          429 | {"error_code":429,"message":"Too many requests"}
          404 | default backend - 404
          """)
  void shouldTakeARegistryThatCannotAnswerForAway(final int status, final String body)
      throws IOException {
    final HttpServer server = server(status, body);
    try {
      assertThat(RegistryOutage.isAway(failure("http", server.getAddress().getPort()))).isTrue();
    } finally {
      server.stop(0);
    }
  }

  @Test
  void shouldTakeARegistryThatDoesNotListenForAway() throws IOException {
    assertThat(RegistryOutage.isAway(failure("http", closedPort()))).isTrue();
  }

  @ParameterizedTest
  @ValueSource(strings = {"http", "https"})
  void shouldTakeARegistryThatHangsUpForAway(final String scheme) throws Exception {
    try (ServerSocket server = new ServerSocket(0, 0, InetAddress.getLoopbackAddress())) {
      Thread.ofVirtual()
          .start(
              () -> {
                while (true) {
                  try (Socket caller = server.accept()) {
                    caller.getInputStream().read();
                  } catch (final IOException e) {
                    return;
                  }
                }
              });
      assertThat(RegistryOutage.isAway(failure(scheme, server.getLocalPort()))).isTrue();
    }
  }

  @Test
  void shouldTakeAnUnknownSchemaForABadRecord() throws IOException {
    final HttpServer server =
        server(404, "{\"error_code\":40403,\"message\":\"Schema 7 not found\"}");
    try {
      // given
      final Harness harness = new Harness(url("http", server.getAddress().getPort()));

      // when
      harness.process("k", framed(7, prompt("Once")));

      // then
      assertThat(harness.only().childName()).contains("dead-letters");
      assertThat(header(harness.only(), "__streams.errors.message")).contains("id 7");
    } finally {
      server.stop(0);
    }
  }

  @Test
  void shouldHoldWhatItCannotReadWhileTheRegistryIsAway() throws IOException {
    // given
    final Harness harness = new Harness(url("http", closedPort()));

    // when
    harness.process("k", framed(7, prompt("Once")));
    harness.punctuate();

    // then: neither dropped nor passed on
    assertThat(harness.context.forwarded()).isEmpty();
    assertThat(harness.held.approximateNumEntries()).isOne();
  }

  @Test
  void shouldPassOnWhatNeedsNoRegistryWhileItIsAway() throws IOException {
    // given
    final Harness harness = new Harness(url("http", closedPort()));
    harness.process("k", framed(7, prompt("Once")));

    // when: a cancel, and bytes that no schema would explain
    harness.process("k", null);
    harness.process("k", "text".getBytes(StandardCharsets.UTF_8));

    // then: the cancel is for what is held as well
    assertThat(harness.context.forwarded().stream().map(forward -> forward.childName().get()))
        .containsExactly("next", "dead-letters");
    assertThat(harness.held.approximateNumEntries()).isEqualTo(2);
  }

  @Test
  void shouldPassOnWhatItHeldInItsOrderAndFromItsPlaceWhenTheRegistryComesBack() throws Exception {
    // given: it answers the third time
    final Registry registry = new Registry(2);
    try {
      final Harness harness = new Harness(registry.url());
      harness.process("k", framed(7, prompt("Once")));
      harness.process("k", null);
      harness.context.resetForwards();

      // when
      for (int i = 0; i < 200 && harness.held.approximateNumEntries() > 0; i++) {
        harness.punctuate();
        Thread.sleep(50);
      }

      // then
      final List<CapturedForward<? extends byte[], ?>> forwards = harness.context.forwarded();
      assertThat(forwards).hasSize(2);
      final SourcePrompt prompt = (SourcePrompt) forwards.getFirst().record().value();
      assertThat(prompt.request().getPrompt()).contains("Once");
      assertThat(prompt.place().orElseThrow().topic()).isEqualTo("prompts");
      assertThat(prompt.place().orElseThrow().partition()).isEqualTo(3);
      assertThat(prompt.place().orElseThrow().offset()).isEqualTo(41);
      assertThat(forwards.getFirst().record().timestamp()).isEqualTo(1234);
      assertThat(header(forwards.getFirst(), "traceparent")).isEqualTo("00-1-2-01");
      assertThat(forwards.getLast().record().value()).isNull();
      assertThat(registry.asked).hasValue(4);
    } finally {
      registry.server.stop(0);
    }
  }

  @Test
  void shouldSendWhatItHeldToTheDeadLettersIfTheRegistryDoesNotKnowItsSchema() throws Exception {
    // given
    final AtomicBoolean up = new AtomicBoolean();
    final HttpServer server =
        server(
            () -> up.get() ? 404 : 503,
            "{\"error_code\":40403,\"message\":\"Schema 7 not found\"}");
    try {
      final Harness harness = new Harness(url("http", server.getAddress().getPort()));
      final byte[] value = framed(7, prompt("Once"));
      harness.process("k", value);

      // when
      up.set(true);
      for (int i = 0; i < 200 && harness.context.forwarded().isEmpty(); i++) {
        harness.punctuate();
        Thread.sleep(50);
      }

      // then
      assertThat(harness.only().childName()).contains("dead-letters");
      assertThat(harness.only().record().value()).isEqualTo(value);
      assertThat(header(harness.only(), "__streams.errors.offset")).isEqualTo("41");
      assertThat(harness.held.approximateNumEntries()).isZero();
    } finally {
      server.stop(0);
    }
  }

  @Test
  void shouldSendAFenceBeforeItPassesOnWhatAnIncarnationBeforeHasHeld() throws Exception {
    // given
    final Registry registry = new Registry(1);
    try {
      final Harness harness = new Harness(registry.url());
      harness.process("k", framed(7, prompt("Once")));
      harness.restart();

      // when, then
      harness.punctuate();
      harness.punctuate();
      assertThat(harness.only().childName()).contains("fences");
      final Headers headers = harness.only().record().headers();
      assertThat(FenceRecord.is(headers)).isTrue();

      // when, then: its own fence comes
      harness.context.resetForwards();
      harness.process(new Record<>(null, null, 1234, headers));
      harness.punctuate();
      assertThat(harness.context.forwarded().getLast().record().value())
          .isInstanceOf(SourcePrompt.class);
      assertThat(harness.context.committed()).isTrue();
    } finally {
      registry.server.stop(0);
    }
  }

  @Test
  void shouldStoreAHeldPromptAsItCame() {
    final Headers headers = new RecordHeaders();
    headers.add("a", new byte[] {1}).add("a", null).add("ü", new byte[0]);
    final HeldPrompt prompt =
        new HeldPrompt("prompts", new Record<>(null, new byte[] {0, 9}, 77, headers));

    final HeldPrompt read = HeldPrompt.decode(prompt.encode());

    assertThat(read.topic()).isEqualTo("prompts");
    assertThat(read.record().key()).isNull();
    assertThat(read.record().value()).containsExactly(0, 9);
    assertThat(read.record().timestamp()).isEqualTo(77);
    assertThat(read.record().headers().toArray()).containsExactly(headers.toArray());
  }

  // ---- bytes

  @ParameterizedTest
  @ValueSource(
      strings = {
        "", // nothing at all
        "00", // cut in the frame
        "68656c6c6f20776f726c64", // text
        "0000000001", // a frame around nothing
        "000000000102fe", // an id of a length that never ends
        "000000000102feffffff0f", // an id of 2 GiB
        "00000000010000" + "02fcffffff0f", // token ids, a billion of them
        "000000000163", // no such branch of a union
      })
  void shouldSendWhatIsNoPromptToTheDeadLettersAsItCame(final String hex) {
    // given
    final Harness harness = new Harness(Map.of("schema.registry.url", IN_MEMORY));
    final byte[] value = HexFormat.of().parseHex(hex);

    // when
    harness.process("k", value);

    // then
    final CapturedForward<?, ?> letter = harness.only();
    assertThat(letter.childName()).contains("dead-letters");
    assertThat(letter.record().key()).isEqualTo("k".getBytes(StandardCharsets.UTF_8));
    assertThat(letter.record().value()).isEqualTo(value);
    assertThat(letter.record().timestamp()).isEqualTo(1234);
    assertThat(header(letter, "traceparent")).isEqualTo("00-1-2-01");
    assertThat(header(letter, "__streams.errors.topic")).isEqualTo("prompts");
    assertThat(header(letter, "__streams.errors.partition")).isEqualTo("3");
    assertThat(header(letter, "__streams.errors.offset")).isEqualTo("41");
    assertThat(header(letter, "__streams.errors.exception")).contains("Exception");
    assertThat(header(letter, "__streams.errors.stacktrace")).contains("PromptDecoder");
    assertThat(letter.record().headers().lastHeader("__streams.errors.message")).isNotNull();
  }

  @Test
  void shouldPassTombstonesOn() {
    // given
    final Harness harness = new Harness(Map.of("schema.registry.url", IN_MEMORY));

    // when
    harness.process("k", null);

    // then
    assertThat(harness.only().childName()).contains("next");
    assertThat(harness.only().record().value()).isNull();
  }

  // ---- identity

  @Test
  void shouldNameARequestByItsFieldElseItsKeyElseItsPlace() {
    final PromptRequest named =
        PromptRequest.newBuilder(prompt("Once")).setId("of-the-field").build();

    assertThat(idOf("of-the-key".getBytes(StandardCharsets.UTF_8), named))
        .isEqualTo("of-the-field");
    assertThat(idOf("of-the-key".getBytes(StandardCharsets.UTF_8), prompt("Once")))
        .isEqualTo("of-the-key");
    assertThat(idOf(new byte[0], prompt("Once"))).isEqualTo("prompts-3-41");
    assertThat(idOf(null, prompt("Once"))).isEqualTo("prompts-3-41");
  }

  @Test
  void shouldTellKeysApartThatAreNoText() {
    final byte[] one = ByteBuffer.allocate(8).putLong(200).array();
    final byte[] other = ByteBuffer.allocate(8).putLong(201).array();

    assertThat(idOf(one, prompt("Once"))).isEqualTo("00000000000000c8");
    assertThat(idOf(other, prompt("Once"))).isEqualTo("00000000000000c9");
  }

  private static String idOf(final byte[] key, final PromptRequest request) {
    final Harness harness = new Harness(Map.of("schema.registry.url", IN_MEMORY));
    harness.process(
        key,
        SarathiSerdes.promptRequest(Map.of("schema.registry.url", IN_MEMORY))
            .serializer()
            .serialize("prompts", request));
    return ((SourcePrompt) harness.only().record().value()).id();
  }

  // ---- parts

  /** A decoder whose records begin with number 41 of partition 3. */
  private static final class Harness {
    private static final TaskId TASK = new TaskId(0, 3);

    private final Supplier<Deserializer<PromptRequest>> deserializers;
    private final KeyValueStore<Long, byte[]> held =
        Stores.keyValueStoreBuilder(
                Stores.inMemoryKeyValueStore(PromptDecoder.HELD), Serdes.Long(), Serdes.ByteArray())
            .withLoggingDisabled()
            .build();
    private MockProcessorContext<byte[], Object> context;
    private PromptDecoder decoder;
    private long offset = 41;

    Harness(final Map<String, Object> registry) {
      deserializers = () -> deserializer(registry);
      restart();
    }

    /** Another incarnation, which has what this one has stored. */
    void restart() {
      context = new MockProcessorContext<>(new Properties(), TASK, null);
      if (!held.isOpen()) {
        held.init(context.getStateStoreContext(), held);
      }
      context.addStateStore(held);
      decoder =
          new PromptDecoder(
              deserializers.get(),
              new RegistryOutage(deserializers),
              new PromptDecoder.Children("next", "dead-letters", "fences"));
      decoder.init(context);
    }

    void punctuate() {
      context.scheduledPunctuators().getFirst().getPunctuator().punctuate(0);
    }

    void process(final String key, final byte[] value) {
      process(key.getBytes(StandardCharsets.UTF_8), value);
    }

    void process(final byte[] key, final byte[] value) {
      final Headers headers = new RecordHeaders();
      headers.add("traceparent", "00-1-2-01".getBytes(StandardCharsets.UTF_8));
      process(new Record<>(key, value, 1234, headers));
    }

    void process(final Record<byte[], byte[]> record) {
      context.setRecordMetadata("prompts", 3, offset++);
      decoder.process(record);
    }

    CapturedForward<?, ?> only() {
      assertThat(context.forwarded()).hasSize(1);
      return context.forwarded().getFirst();
    }
  }

  private static Deserializer<PromptRequest> deserializer(final Map<String, Object> registry) {
    return SarathiSerdes.promptRequest(registry).deserializer();
  }

  private static String header(final CapturedForward<?, ?> letter, final String name) {
    final Header header = letter.record().headers().lastHeader(name);
    return new String(header.value(), StandardCharsets.UTF_8);
  }

  private static PromptRequest prompt(final String text) {
    return PromptRequest.newBuilder().setPrompt(text).build();
  }

  /** As Confluent's serializers do: a zero, the schema's id, the Avro bytes. */
  private static byte[] framed(final int schema, final PromptRequest request) throws IOException {
    final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.write(ByteBuffer.allocate(5).put((byte) 0).putInt(schema).array());
    final BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(bytes, null);
    request.customEncode(encoder);
    return bytes.toByteArray();
  }

  /** Why a prompt with an unknown schema id cannot be decoded with the registry there. */
  private static Throwable failure(final String scheme, final int port) throws IOException {
    final byte[] value = framed(7, prompt("Once"));
    final Deserializer<PromptRequest> deserializer = deserializer(url(scheme, port));
    final Throwable failure = catchThrowable(() -> deserializer.deserialize("prompts", value));
    assertThat(failure).isNotNull();
    return failure;
  }

  private static Map<String, Object> url(final String scheme, final int port) {
    return Map.of("schema.registry.url", scheme + "://127.0.0.1:" + port, "max.retries", 0);
  }

  /** Knows every schema id, and does not answer the first times that it is asked. */
  private static final class Registry {
    private final AtomicInteger asked = new AtomicInteger();
    private final HttpServer server;

    Registry(final int refusals) throws IOException {
      server =
          server(
              () -> asked.incrementAndGet() > refusals ? 200 : 503,
              new ObjectMapper()
                  .writeValueAsString(Map.of("schema", PromptRequest.getClassSchema().toString())));
    }

    Map<String, Object> url() {
      return PromptDecoderTest.url("http", server.getAddress().getPort());
    }
  }

  private static HttpServer server(final int status, final String body) throws IOException {
    return server(() -> status, body);
  }

  private static HttpServer server(final IntSupplier status, final String body) throws IOException {
    final HttpServer server = HttpServer.create(loopback(), 0);
    server.createContext(
        "/",
        exchange -> {
          final byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
          exchange.getResponseHeaders().add("Content-Type", "application/json");
          exchange.sendResponseHeaders(status.getAsInt(), bytes.length);
          exchange.getResponseBody().write(bytes);
          exchange.close();
        });
    server.start();
    return server;
  }

  private static InetSocketAddress loopback() {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
  }

  private static int closedPort() throws IOException {
    try (ServerSocket server = new ServerSocket(0, 0, InetAddress.getLoopbackAddress())) {
      return server.getLocalPort();
    }
  }
}
