package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The only broker is away for a while: the engine waits, the memory stays, nothing is lost. */
class BrokerOutageTest {
  private static final int MAX_UNCOMMITTED = 256;

  @TempDir private Path directory;

  @Test
  void shouldOutlastAShortOutage() throws Exception {
    outlast(8, 400, Duration.ofSeconds(10), Duration.ofSeconds(60));
  }

  @Test
  @Tag("long")
  void shouldOutlastAnOutageOfTwoMinutes() throws Exception {
    outlast(64, 600, Duration.ofMinutes(2), Duration.ofMinutes(5));
  }

  private void outlast(
      final int generations, final int length, final Duration outage, final Duration limit)
      throws Exception {
    // given: generations that run, far from their ends
    final List<PromptRequest> requests = new ArrayList<>();
    for (int i = 0; i < generations; i++) {
      requests.add(
          i % 2 == 0
              ? Stories.ofLength("request-" + i, 20 + i, length)
              : Stories.sampled("request-" + i, 20 + i, length));
    }
    try (DevelopmentBroker broker =
        DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")))) {
      createTopics(broker.bootstrapServers());
      final Map<String, Object> settings = new HashMap<>();
      settings.put("bootstrap.servers", broker.bootstrapServers());
      settings.put("application.id", "outage");
      settings.put("group.instance.id", "instance-1");
      settings.put("sarathi.max.sequences", generations);
      settings.put("sarathi.engine.window", generations);
      settings.put("sarathi.max.uncommitted.tokens", MAX_UNCOMMITTED);
      try (ApplicationProcess application =
              ApplicationProcess.faulty(
                  directory.resolve("application"), settings, Duration.ofMillis(10));
          TokenLog log = new TokenLog(broker.bootstrapServers(), "tokens")) {
        Prompts.send(broker.bootstrapServers(), "prompts", requests);
        final long deadline = System.nanoTime() + limit.toNanos();
        while (log.ids().size() < generations) {
          assertThat(System.nanoTime()).as(application::logged).isLessThan(deadline);
          log.poll();
        }
        assertThat(log.terminals()).as("ended before the outage").isZero();

        // when
        broker.kill();
        final long away = System.nanoTime();
        Thread.sleep(outage.dividedBy(2));
        final double iterations = iterations(application);
        long heap = application.heapBytes();
        while (System.nanoTime() - away < outage.toNanos()) {
          Thread.sleep(1_000);
          heap = Math.max(heap, application.heapBytes());
        }

        // then: it rests, long before the end of any generation
        assertThat(iterations(application))
            .as("iterations in the second half of the outage")
            .isEqualTo(iterations)
            .isLessThan(length);
        System.out.printf(Locale.ROOT, "iterations %,.0f, heap %,d MiB%n", iterations, heap >> 20);
        assertThat(heap).as("heap in use").isLessThan(384L << 20);
        assertThat(application.process().isAlive()).as(application::logged).isTrue();

        // when
        broker.restart();
        final long back = System.nanoTime();
        log.awaitTerminals(generations, limit, application::logged);

        // then
        System.out.printf(
            Locale.ROOT, "ended %,d ms after%n", (System.nanoTime() - back) / 1_000_000);
        assertThat(iterations(application)).isGreaterThan(iterations);
        try (Oracle oracle = new Oracle()) {
          for (final PromptRequest request : requests) {
            log.assertExactlyOnce(request.getId().orElseThrow(), oracle.answers(request));
          }
        }
        assertThat(application.logged()).doesNotContain("OutOfMemory");
      }
    }
  }

  private static double iterations(final ApplicationProcess application) {
    return application.sum(FaultyApplication.ITERATIONS, "Count");
  }

  private static void createTopics(final String servers) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", servers))) {
      admin
          .createTopics(
              List.of(new NewTopic("prompts", 2, (short) 1), new NewTopic("tokens", 2, (short) 1)))
          .all()
          .get();
    }
  }
}
