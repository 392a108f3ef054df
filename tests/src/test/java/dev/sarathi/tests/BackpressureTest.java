package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.AbstractList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Far more prompts than the engine takes: they wait in the stores, and the memory stays flat. */
class BackpressureTest {
  private static final int PROMPTS = 200_000;
  private static final Duration WATCHED =
      Duration.ofSeconds(Integer.getInteger("backpressure.seconds", 60));
  private static final Duration SAMPLED = Duration.ofSeconds(5);
  private static final String GENERATION =
      "kafka.streams:type=stream-generation-metrics,generation-id=*,thread-id=*";

  @Test
  @Tag("long")
  @EnabledOnOs(value = OS.LINUX, disabledReason = "resident memory is read from /proc")
  void shouldKeepItsMemoryWhateverWaits(@TempDir final Path directory) throws Exception {
    // given: a topic full of prompts
    try (DevelopmentBroker broker =
        DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")))) {
      final Map<String, ?> settings =
          Map.of("bootstrap.servers", broker.bootstrapServers(), "application.id", "backpressure");
      try (ApplicationProcess application =
          ApplicationProcess.start(directory.resolve("application"), settings)) {
        application.awaitLine("streams RUNNING", Duration.ofSeconds(60));
        Prompts.send(broker.bootstrapServers(), "prompts", prompts());

        // A bean is there with the first of its attributes; the others follow one by one.
        await()
            .atMost(Duration.ofSeconds(60))
            .ignoreExceptions()
            .until(() -> application.sum(GENERATION, "finished-total") > 0);

        // when they have all come in, while the first are served
        long most = 0;
        double before = 0;
        final long limit = System.nanoTime() + Duration.ofMinutes(5).toNanos();
        long end = Long.MAX_VALUE;
        while (System.nanoTime() < end) {
          Thread.sleep(SAMPLED);
          final double finished = application.sum(GENERATION, "finished-total");
          final double waiting = application.sum(GENERATION, "waiting");
          final long resident = application.residentBytes();
          most = Math.max(most, resident);
          System.out.printf(
              Locale.ROOT,
              "finished %,.0f, waiting %,.0f, the oldest for %,.0f s; stores %,d MiB, resident %,d MiB%n",
              finished,
              waiting,
              application.sum(GENERATION, "waiting-oldest-ms") / 6e3,
              bytes(directory.resolve("application/state")) >> 20,
              resident >> 20);

          // then it goes on, and stays small
          assertThat(finished).as("finished, every five seconds more").isGreaterThan(before);
          assertThat(resident).as("resident bytes").isLessThan(1L << 30);
          before = finished;
          if (end == Long.MAX_VALUE && finished + waiting > PROMPTS - 1_000) {
            end = System.nanoTime() + WATCHED.toNanos();
          }
          assertThat(end != Long.MAX_VALUE || System.nanoTime() < limit)
              .as("all prompts admitted within five minutes")
              .isTrue();
        }
        assertThat(
                application.sum(
                    "kafka.consumer:type=consumer-coordinator-metrics,client-id=*",
                    "rebalance-total"))
            .as("rebalances, of which the first is the start")
            .isEqualTo(1);
        assertThat(application.logged()).doesNotContain("ERROR").doesNotContain("OutOfMemory");
      }
    }
  }

  private static List<PromptRequest> prompts() {
    return new AbstractList<>() {
      @Override
      public PromptRequest get(final int index) {
        return Stories.sampled("prompt-" + index, 50, 32);
      }

      @Override
      public int size() {
        return PROMPTS;
      }
    };
  }

  private static long bytes(final Path directory) {
    try (Stream<Path> files = Files.walk(directory)) {
      return files.mapToLong(file -> file.toFile().length()).sum();
    } catch (final IOException | UncheckedIOException e) {
      return 0; // Compaction takes files away under the walk; the next sample tells.
    }
  }
}
