package dev.sarathi.tests;

import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * How long a reader waits for the next token of a generation whose instance is killed: from SIGKILL
 * to the first committed token that a later attempt adds to it. The instance is a static member of
 * its group; where it is started again that is done at once, and the time includes the JVM's start.
 */
class RecoveryBenchmark {
  private static final int KILLS = Integer.getInteger("bench.kills", 20);
  private static final int GENERATIONS = 8;
  private static final int TOKENS = 3_500;
  private static final int BACKLOG = 10_000;
  private static final int BACKLOG_PROMPT_CHARS = 10_000;
  private static final Duration LIMIT = Duration.ofMinutes(3);

  @TempDir private static Path directory;

  @Test
  void shouldTellHowLongAReaderWaits() throws Exception {
    try (DevelopmentBroker broker =
        DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")))) {
      final String servers = broker.bootstrapServers();
      restarts(servers, "restarted", KILLS, 0);
      restarts(servers, "with-backlog", 3, BACKLOG);
      failover(servers, "without-standby", 0);
      failover(servers, "with-standby", 1);
    }
  }

  /** One instance, killed and started again. */
  private static void restarts(
      final String servers, final String name, final int kills, final int backlog)
      throws Exception {
    final double[] seconds = new double[kills];
    try (ApplicationProcess instance = start(servers, name, "instance-1", Map.of());
        Tokens tokens = new Tokens(servers, name + "-tokens")) {
      fill(servers, name, backlog);
      for (int kill = 0; kill < kills; kill++) {
        final String round = name + "-" + kill;
        begin(servers, name, round, tokens);
        final long start = System.nanoTime();
        instance.kill();
        instance.start();
        seconds[kill] = awaitResumed(tokens, round, start);
        end(servers, name, round);
      }
    }
    print("started again, backlog of %,d".formatted(backlog), seconds);
  }

  /** Two instances, of which the one that generates is killed and stays away. */
  private static void failover(final String servers, final String name, final int standbys)
      throws Exception {
    final Map<String, ?> settings =
        Map.of("num.standby.replicas", standbys, "session.timeout.ms", 6_000);
    try (ApplicationProcess first = start(servers, name, "instance-1", settings);
        Tokens tokens = new Tokens(servers, name + "-tokens")) {
      fill(servers, name, BACKLOG);
      try (ApplicationProcess second = start(servers, name, "instance-2", settings)) {
        second.awaitLine("streams RUNNING", LIMIT);
        // For the second to restore its share, and its standbys.
        Thread.sleep(30_000);
        begin(servers, name, name, tokens);
        final long start = System.nanoTime();
        first.kill();
        final double seconds = awaitResumed(tokens, name, start);
        print("left to another, %d standby, session of 6 s".formatted(standbys), seconds);
      }
    }
  }

  private static ApplicationProcess start(
      final String servers, final String name, final String member, final Map<String, ?> more) {
    final Map<String, Object> settings = new HashMap<>(more);
    settings.put("bootstrap.servers", servers);
    settings.put("application.id", name);
    settings.put("group.instance.id", member);
    settings.put("sarathi.prompts.topic", name + "-prompts");
    settings.put("sarathi.tokens.topic", name + "-tokens");
    settings.put("sarathi.completions.topic", "");
    settings.put("sarathi.jobs.topic", "");
    settings.put("sarathi.dead.letters.topic", name + "-dead-letters");
    settings.put("sarathi.topics.partitions", 2);
    final ApplicationProcess instance =
        ApplicationProcess.start(directory.resolve(name).resolve(member), settings);
    instance.awaitLine("streams RUNNING", LIMIT);
    return instance;
  }

  /** Long generations, well under way. */
  private static void begin(
      final String servers, final String name, final String round, final Tokens tokens) {
    Prompts.send(
        servers,
        name + "-prompts",
        IntStream.range(0, GENERATIONS)
            .mapToObj(i -> Stories.sampled(round + "-" + i, 20, TOKENS))
            .toList());
    for (int i = 0; i < GENERATIONS; i++) {
      final String id = round + "-" + i;
      tokens.await(record -> record.key().equals(id) && record.value().getIndex() >= 20);
    }
  }

  private static double awaitResumed(final Tokens tokens, final String round, final long start) {
    tokens.await(
        record ->
            record.key().startsWith(round + "-")
                && record.value().getIndex() > 0
                && record.value().getAttempt() > 1);
    return (System.nanoTime() - start) / 1e9;
  }

  private static void end(final String servers, final String name, final String round) {
    Prompts.cancel(
        servers,
        name + "-prompts",
        IntStream.range(0, GENERATIONS).mapToObj(i -> round + "-" + i).toList());
  }

  /** Requests of bulk priority, which wait behind all others, ten kilobytes each. */
  private static void fill(final String servers, final String name, final int requests) {
    final String prompt = "Once upon a time. ".repeat(BACKLOG_PROMPT_CHARS / 18);
    final List<PromptRequest> bulk = new ArrayList<>();
    for (int i = 0; i < requests; i++) {
      bulk.add(
          PromptRequest.newBuilder()
              .setId("bulk-" + i)
              .setPrompt(prompt)
              .setMaxTokens(64)
              .setPriority(dev.sarathi.schemas.Priority.BULK)
              .build());
    }
    Prompts.send(servers, name + "-prompts", bulk);
    if (requests > 0) {
      try {
        Thread.sleep(45_000);
      } catch (final InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  private static void print(final String what, final double... seconds) {
    Arrays.sort(seconds);
    System.out.printf(
        Locale.ROOT,
        "%-48s kills %2d, seconds to the next token: least %.1f, median %.1f, most %.1f%n",
        what,
        seconds.length,
        seconds[0],
        seconds[seconds.length / 2],
        seconds[seconds.length - 1]);
  }

  /** Committed token records, as they come. */
  private static final class Tokens implements AutoCloseable {
    private final KafkaConsumer<String, TokenRecord> consumer;
    private final List<ConsumerRecord<String, TokenRecord>> seen = new ArrayList<>();

    private Tokens(final String servers, final String topic) {
      consumer =
          new KafkaConsumer<>(
              Map.of("bootstrap.servers", servers, "isolation.level", "read_committed"),
              new StringDeserializer(),
              SarathiSerdes.tokenRecord(Map.of("schema.registry.url", "mock://tests"))
                  .deserializer());
      consumer.assign(
          consumer.partitionsFor(topic).stream()
              .map(partition -> new TopicPartition(topic, partition.partition()))
              .toList());
      consumer.seekToBeginning(consumer.assignment());
    }

    private void await(final Predicate<ConsumerRecord<String, TokenRecord>> wanted) {
      final long deadline = System.nanoTime() + LIMIT.toNanos();
      int from = 0;
      while (true) {
        for (; from < seen.size(); from++) {
          if (wanted.test(seen.get(from))) {
            return;
          }
        }
        if (System.nanoTime() > deadline) {
          throw new IllegalStateException("no such token within " + LIMIT);
        }
        consumer.poll(Duration.ofMillis(100)).forEach(seen::add);
      }
    }

    @Override
    public void close() {
      consumer.close();
    }
  }
}
