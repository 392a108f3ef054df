package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Two instances are restarted one after the other onto another model, at work, and back. */
class UpgradeTest {
  private static final int PARTITIONS = 4;
  private static final int WINDOW = 2;
  private static final int REQUESTS = 16;
  private static final int TOKENS = 150;
  private static final Duration PAUSE = Duration.ofMillis(40);
  private static final Duration LIMIT = Duration.ofMinutes(4);

  @TempDir private Path directory;

  @Test
  @Tag("long")
  void shouldEndWhatAnotherModelFileFindsHalfDone() throws Exception {
    final Path other = otherModel();
    try (Oracle before = new Oracle();
        Oracle after = new Oracle(config(other))) {
      upgrade(
          Map.of("sarathi.on.model.change", "fail"),
          Map.of("sarathi.model", other),
          before,
          after,
          UpgradeTest::assertEnded);
    }
  }

  @Test
  @Tag("long")
  void shouldGoOnWithOtherKernelsIfToldTo() throws Exception {
    try (Oracle before = new Oracle();
        Oracle after = new Oracle(config(Stories.MODEL).withWeights("int8"))) {
      upgrade(
          Map.of("sarathi.on.model.change", "continue"),
          Map.of("sarathi.weights", "int8"),
          before,
          after,
          UpgradeTest::assertContinued);
    }
  }

  private static EngineConfig config(final Path model) {
    return EngineConfig.of(model).withMaxSequences(1).withTokenBudget(256);
  }

  /** What must hold of a request that the change of the model found half done. */
  private interface HalfDone {
    void check(PromptRequest request, TokenLog log, Oracle first, Oracle second);
  }

  private void upgrade(
      final Map<String, ?> settings,
      final Map<String, ?> change,
      final Oracle before,
      final Oracle after,
      final HalfDone halfDone)
      throws Exception {
    assertThat(before.fingerprint()).isNotEqualTo(after.fingerprint());
    try (DevelopmentBroker broker =
        DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")))) {
      try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker.bootstrapServers()))) {
        admin
            .createTopics(
                Stream.of("prompts", "tokens")
                    .map(name -> new NewTopic(name, PARTITIONS, (short) 1))
                    .toList())
            .all()
            .get();
      }
      final List<Map<String, Object>> old = new ArrayList<>();
      for (int i = 0; i < 2; i++) {
        final Map<String, Object> instance = new HashMap<>(settings);
        instance.put("bootstrap.servers", broker.bootstrapServers());
        instance.put("application.id", "upgraded");
        // Each comes back as who it was, and keeps its tasks.
        instance.put("group.instance.id", "instance-" + i);
        instance.put("session.timeout.ms", 180_000);
        instance.put("sarathi.engine.window", WINDOW);
        old.add(instance);
      }
      try (ApplicationProcess first =
              ApplicationProcess.faulty(directory.resolve("first"), old.get(0), PAUSE);
          ApplicationProcess second =
              ApplicationProcess.faulty(directory.resolve("second"), old.get(1), PAUSE);
          TokenLog log = new TokenLog(broker.bootstrapServers(), "tokens")) {
        final List<ApplicationProcess> instances = List.of(first, second);
        instances.forEach(instance -> awaitRunning(instance, log));

        // when: there
        final List<PromptRequest> there = requests("there");
        Prompts.send(broker.bootstrapServers(), "prompts", there);
        await(log, () -> areHalfDone(there, log));
        for (int i = 0; i < 2; i++) {
          final Map<String, Object> changed = new HashMap<>(old.get(i));
          changed.putAll(change);
          restart(instances.get(i), changed, log);
        }
        log.awaitTerminals(REQUESTS, LIMIT);

        // then
        check(there, log, before, after, halfDone);

        // when: and back
        final List<PromptRequest> back = requests("back");
        Prompts.send(broker.bootstrapServers(), "prompts", back);
        await(log, () -> areHalfDone(back, log));
        for (int i = 0; i < 2; i++) {
          restart(instances.get(i), old.get(i), log);
        }
        log.awaitTerminals(2 * REQUESTS, LIMIT);

        // then
        check(back, log, after, before, halfDone);
      }
    }
  }

  private static List<PromptRequest> requests(final String name) {
    final List<PromptRequest> requests = new ArrayList<>();
    for (int i = 0; i < REQUESTS; i++) {
      requests.add(Stories.sampled(name + "-" + i, 20 + 5 * i, TOKENS));
    }
    return requests;
  }

  private static boolean areHalfDone(final List<PromptRequest> requests, final TokenLog log) {
    return requests.stream().filter(request -> !log.of(id(request)).isEmpty()).count() >= WINDOW * 3
        && requests.stream().mapToLong(request -> tokens(log.of(id(request))).size()).sum()
            >= 10L * WINDOW * PARTITIONS;
  }

  private static void restart(
      final ApplicationProcess instance, final Map<String, ?> settings, final TokenLog log) {
    instance.stop();
    instance.configure(settings);
    instance.start();
    awaitRunning(instance, log);
  }

  private static void awaitRunning(final ApplicationProcess instance, final TokenLog log) {
    await(
        log,
        () -> {
          assertThat(instance.process().isAlive()).as(instance::logged).isTrue();
          return instance.logged().contains("streams RUNNING");
        });
  }

  private static void await(final TokenLog log, final BooleanSupplier condition) {
    final long deadline = System.nanoTime() + LIMIT.toNanos();
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).isLessThan(deadline);
      log.poll();
    }
  }

  /** Every request is of one model alone, and as that generates it, or was found half done. */
  private static void check(
      final List<PromptRequest> requests,
      final TokenLog log,
      final Oracle first,
      final Oracle second,
      final HalfDone halfDone) {
    final Map<String, Integer> kinds = new HashMap<>();
    for (final PromptRequest request : requests) {
      final List<TokenRecord> records = log.of(id(request));
      final List<String> fingerprints =
          records.stream().map(TokenRecord::getFingerprint).distinct().toList();
      if (fingerprints.equals(List.of(first.fingerprint()))) {
        kinds.merge("first", 1, Integer::sum);
        log.assertExactlyOnce(id(request), first.answers(request));
      } else if (fingerprints.equals(List.of(second.fingerprint()))) {
        kinds.merge("second", 1, Integer::sum);
        log.assertExactlyOnce(id(request), second.answers(request));
        assertThat(records.getLast().getPreviousFingerprint()).isEmpty();
      } else {
        kinds.merge("half done", 1, Integer::sum);
        assertThat(fingerprints)
            .as("fingerprints of %s", id(request))
            .containsExactly(first.fingerprint(), second.fingerprint());
        halfDone.check(request, log, first, second);
      }
    }
    System.out.println(kinds);
    // Those of the first instance at least, and what waited there.
    assertThat(kinds.get("half done")).as("half done").isGreaterThanOrEqualTo(WINDOW);
    assertThat(kinds.get("second")).as("not begun").isGreaterThanOrEqualTo(WINDOW);
  }

  private static void assertEnded(
      final PromptRequest request, final TokenLog log, final Oracle first, final Oracle second) {
    final List<TokenRecord> records = log.of(id(request));
    final TokenRecord end = records.getLast();
    assertThat(end.getFinishReason()).contains(FinishReason.ERROR);
    assertThat(end.getError().orElseThrow())
        .contains("from " + first.fingerprint() + " to " + second.fingerprint());
    assertThat(end.getFingerprint()).isEqualTo(second.fingerprint());
    assertThat(end.getPreviousFingerprint()).contains(first.fingerprint());
    assertThat(end.getTokenIds()).isEmpty();
    assertThat(records.stream().filter(TokenRecord::getLast)).containsExactly(end);
    assertThat(tokens(records))
        .isNotEmpty()
        .hasSizeLessThan(TOKENS)
        .isEqualTo(first.answers(request).getFirst().tokens().subList(0, tokens(records).size()));
  }

  private static void assertContinued(
      final PromptRequest request, final TokenLog log, final Oracle first, final Oracle second) {
    final List<TokenRecord> records = log.of(id(request));
    final List<Integer> emitted =
        tokens(
            records.stream()
                .filter(record -> record.getFingerprint().equals(first.fingerprint()))
                .toList());
    assertThat(emitted)
        .isNotEmpty()
        .isEqualTo(first.answers(request).getFirst().tokens().subList(0, emitted.size()));
    final Oracle.Answer rest = second.continued(request, emitted);
    assertThat(tokens(records)).isEqualTo(rest.tokens());
    final TokenRecord end = records.getLast();
    assertThat(end.getFinishReason()).contains(FinishReason.LENGTH);
    assertThat(end.getFingerprint()).isEqualTo(second.fingerprint());
    assertThat(end.getPreviousFingerprint()).contains(first.fingerprint());
    assertThat(records.stream().filter(TokenRecord::getLast)).containsExactly(end);
  }

  /** In order, without gap or repetition. */
  private static List<Integer> tokens(final List<TokenRecord> records) {
    final List<Integer> tokens = new ArrayList<>();
    for (final TokenRecord record : records) {
      assertThat(record.getIndex())
          .as("index in %s", record.getRequestId())
          .isEqualTo(tokens.size());
      tokens.addAll(record.getTokenIds());
    }
    return tokens;
  }

  private static String id(final PromptRequest request) {
    return request.getId().orElseThrow();
  }

  /** The bundled model with the signs of a matrix's first weights turned. */
  private Path otherModel() throws IOException {
    final Path other = Files.createDirectories(directory.resolve("other").resolve("storyteller"));
    try (Stream<Path> files = Files.list(Stories.MODEL)) {
      for (final Path file : files.toList()) {
        Files.copy(file, other.resolve(file.getFileName()));
      }
    }
    final Path weights = other.resolve("model.safetensors");
    final byte[] bytes = Files.readAllBytes(weights);
    final int header = (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
    final JsonNode tensor =
        new ObjectMapper()
            .readTree(bytes, Long.BYTES, header)
            .get("model.layers.0.mlp.down_proj.weight");
    final int from = Long.BYTES + header + tensor.get("data_offsets").get(0).asInt();
    for (int i = 0; i < 4096; i++) {
      bytes[from + 2 * i + 1] ^= (byte) 0x80;
    }
    Files.write(weights, bytes);
    return other;
  }
}
