package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A request that takes the whole process down whenever it is computed. */
class PoisonedApplicationTest {
  private static final int ATTEMPTS = 3;
  private static final int BEFORE = 2;
  private static final int BEHIND = 8;

  @Test
  @Tag("long")
  void shouldEndAPoisonousRequestInErrorAndServeItsNeighbours(@TempDir final Path directory)
      throws Exception {
    // given: requests before and behind a poisonous one, in its task and in another, all new; the
    // poisonous prompt takes several iterations, so that no token of it ever comes
    final List<PromptRequest> neighbours = new ArrayList<>();
    for (int i = 0; i < BEFORE + BEHIND; i++) {
      neighbours.add(Stories.sampled("neighbour-" + i, 60 + 5 * i, 40));
    }
    final List<PromptRequest> prompts = new ArrayList<>(neighbours);
    prompts.add(BEFORE, Stories.ofLength(FaultyApplication.POISON, 400, 40));
    try (DevelopmentBroker broker =
        DevelopmentBroker.start(DevelopmentBroker.Options.in(directory.resolve("broker")))) {
      try (Admin admin = Admin.create(Map.of("bootstrap.servers", broker.bootstrapServers()))) {
        admin
            .createTopics(
                List.of(
                    new NewTopic("prompts", 2, (short) 1), new NewTopic("tokens", 2, (short) 1)))
            .all()
            .get();
      }
      Prompts.send(broker.bootstrapServers(), "prompts", prompts);
      final Map<String, ?> settings =
          Map.of(
              "bootstrap.servers",
              broker.bootstrapServers(),
              "application.id",
              "poisoned",
              "group.instance.id",
              "instance-1",
              "sarathi.token.budget",
              128,
              "sarathi.max.attempts",
              ATTEMPTS);

      // when: it is started again whenever it has died, as an orchestrator does
      int deaths = 0;
      try (TokenLog log = new TokenLog(broker.bootstrapServers(), "tokens");
          ApplicationProcess application =
              ApplicationProcess.faulty(
                  directory.resolve("application"), settings, Duration.ofMillis(20))) {
        final long deadline = System.nanoTime() + Duration.ofMinutes(6).toNanos();
        while (log.terminals() < prompts.size()) {
          assertThat(System.nanoTime())
              .as("%d ended after %d deaths: %s", log.terminals(), deaths, application.logged())
              .isLessThan(deadline);
          if (!application.process().isAlive()) {
            deaths++;
            assertThat(deaths).as("deaths").isLessThanOrEqualTo(ATTEMPTS);
            application.start();
          }
          log.poll();
        }
        log.awaitTerminals(prompts.size(), Duration.ZERO);

        // then: it was taken up as often as it may be, and never again
        assertThat(deaths).isEqualTo(ATTEMPTS);
        assertThat(log.of(FaultyApplication.POISON))
            .singleElement()
            .satisfies(
                record -> {
                  assertThat(record.getFinishReason()).contains(FinishReason.ERROR);
                  assertThat(record.getError().orElseThrow())
                      .contains("taken up 3 times without a new token")
                      .contains("sarathi.max.attempts is 3");
                });
        // and its neighbours never knew
        try (Oracle oracle = new Oracle()) {
          for (final PromptRequest request : neighbours) {
            log.assertExactlyOnce(request.getId().orElseThrow(), oracle.answers(request));
          }
        }
        assertThat(application.process().isAlive()).isTrue();
      }
    }
  }
}
