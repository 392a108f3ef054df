package dev.sarathi.tests.chaos;

import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.tests.Oracle;
import dev.sarathi.tests.Stories;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps so many requests under way: a new one for each that has ended. They are short and long,
 * greedy and sampled, some of several choices; some are cancelled, some are sent twice.
 *
 * <p>Threading: {@link #run} on one thread, the rest after it has returned.
 */
final class Load {
  private static final Logger LOG = LoggerFactory.getLogger(Load.class);

  private record Sent(PromptRequest request, CompletableFuture<List<Oracle.Answer>> answers) {}

  private final Phase phase;
  private final String bootstrapServers;
  private final OutputLog log;
  private final Oracle oracle;
  private final Random random;
  private final int concurrency;
  private final Map<String, Sent> sent = new LinkedHashMap<>();
  private final Map<String, Long> cancelAt = new LinkedHashMap<>();
  private final Set<String> cancelled = ConcurrentHashMap.newKeySet();
  private final Set<String> failed = ConcurrentHashMap.newKeySet();
  private int repeated;

  Load(
      final Phase phase,
      final String bootstrapServers,
      final OutputLog log,
      final Oracle oracle,
      final long seed,
      final int concurrency) {
    this.phase = phase;
    this.bootstrapServers = bootstrapServers;
    this.log = log;
    this.oracle = oracle;
    this.random = new Random(seed);
    this.concurrency = concurrency;
  }

  void run(final long deadline) throws InterruptedException {
    try (Producer<String, byte[]> producer =
            new KafkaProducer<>(
                Map.of(
                    "bootstrap.servers",
                    bootstrapServers,
                    "delivery.timeout.ms",
                    "120000",
                    "request.timeout.ms",
                    "5000"),
                new StringSerializer(),
                new ByteArraySerializer());
        Serializer<PromptRequest> serializer =
            SarathiSerdes.promptRequest(Phase.REGISTRY).serializer()) {
      while (System.nanoTime() < deadline) {
        if (sent.size() - log.ended() < concurrency) {
          submit(producer, serializer);
        } else {
          Thread.sleep(20);
        }
        cancelDue(producer);
      }
      producer.flush();
    }
  }

  private void submit(
      final Producer<String, byte[]> producer, final Serializer<PromptRequest> serializer) {
    final String id = "%s-%05d".formatted(phase.protocol(), sent.size());
    final PromptRequest request = draw(id);
    sent.put(id, new Sent(request, oracle.ask(request)));
    final byte[] value = serializer.serialize(phase.promptsTopic(), request);
    send(producer, id, value);
    if (random.nextInt(100) < 4) {
      repeated++;
      send(producer, id, value);
    }
    if (random.nextInt(100) < 8) {
      cancelAt.put(id, System.nanoTime() + random.nextLong(200_000_000L, 5_000_000_000L));
    }
  }

  private PromptRequest draw(final String id) {
    final int prompt = 10 + random.nextInt(random.nextInt(4) == 0 ? 290 : 60);
    final int tokens = 30 + random.nextInt(random.nextInt(4) == 0 ? 470 : 220);
    final PromptRequest request =
        random.nextBoolean()
            ? Stories.ofLength(id, prompt, tokens)
            : Stories.sampled(id, prompt, tokens);
    return random.nextInt(100) < 5
        ? PromptRequest.newBuilder(Stories.sampled(id, prompt, tokens / 2)).setN(2).build()
        : request;
  }

  private void cancelDue(final Producer<String, byte[]> producer) {
    cancelAt
        .entrySet()
        .removeIf(
            due -> {
              if (due.getValue() > System.nanoTime()) {
                return false;
              }
              cancelled.add(due.getKey());
              send(producer, due.getKey(), null);
              return true;
            });
  }

  private void send(final Producer<String, byte[]> producer, final String id, final byte[] value) {
    producer.send(
        new ProducerRecord<>(phase.promptsTopic(), id, value),
        (metadata, failure) -> {
          if (failure != null && value != null) {
            LOG.warn("prompt {} was not acknowledged: {}", id, failure.toString());
            failed.add(id);
          }
        });
  }

  /** Those that nobody has seen the end of, though the prompt was acknowledged. */
  List<String> unanswered() {
    return sent.keySet().stream().filter(id -> !failed.contains(id) && !log.hasEnded(id)).toList();
  }

  /** What the oracle says of each request that was acknowledged, or that was answered anyway. */
  Map<String, Expectation> expectations() {
    final Map<String, Expectation> expectations = new LinkedHashMap<>();
    sent.forEach(
        (id, request) -> {
          if (!failed.contains(id) || log.hasEnded(id)) {
            expectations.put(
                id, new Expectation(id, cancelled.contains(id), request.answers().join()));
          }
        });
    return expectations;
  }

  int requests() {
    return sent.size();
  }

  int cancelled() {
    return cancelled.size();
  }

  int repeated() {
    return repeated;
  }

  /** Tokens of the prompts, by id. */
  int promptTokens(final String id) {
    return sent.get(id).request().getTokenIds().map(List::size).orElse(0);
  }
}
