package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.api.command.InspectImageResponse;
import dev.sarathi.schemas.PromptRequest;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.testcontainers.DockerClientFactory;
import org.testcontainers.containers.GenericContainer;

@Tag("container")
class ApplicationContainerTest {
  private static final int LONG = 1_200;

  /** In seconds; Docker's own is 10. */
  private static final int GRACE = 30;

  private static ContainerCluster cluster;

  /** Before each, so that each is counted where it is skipped. */
  @BeforeEach
  void startCluster() throws Exception {
    Images.makeReady();
    if (cluster == null) {
      cluster = ContainerCluster.start();
    }
  }

  @AfterAll
  static void stopCluster() {
    if (cluster != null) {
      cluster.close();
    }
  }

  @Test
  void shouldBeSmallAndNotOfRoot() {
    // when
    final InspectImageResponse image = docker().inspectImageCmd(Images.APPLICATION).exec();

    // then
    System.out.printf("image size: %,d MB%n", image.getSize() / 1_000_000);
    assertThat(image.getSize()).isLessThan(350_000_000L);
    assertThat(image.getConfig().getUser()).isEqualTo("10001:10001");
  }

  @Test
  void shouldAnswerAsTheOracleDoesWithoutAWritableRoot() throws Exception {
    // given: settings by the environment, of which one is taken from another variable
    final List<PromptRequest> requests =
        IntStream.range(0, 10)
            .mapToObj(
                i ->
                    i % 2 == 0
                        ? Stories.ofLength("request-" + i, 1 + 100 * i, 40)
                        : Stories.sampled("request-" + i, 1 + 100 * i, 40))
            .toList();
    try (GenericContainer<?> application =
        cluster.application("answers", Map.of("KAFKA_GROUP_INSTANCE_ID", "${env:HOSTNAME}"))) {
      // when
      application.start();
      // From the process's start: making a container copies the image with some storage drivers.
      final Duration ready = Duration.between(startedAt(application), Instant.now());
      System.out.printf("ready after %.1f s%n", ready.toMillis() / 1000.0);
      send("answers", requests);

      // then
      assertEveryAnswer("answers", requests);
      assertThat(ready).isLessThan(Duration.ofSeconds(120));
      assertThat(application.execInContainer("id", "-u").getStdout().strip()).isEqualTo("10001");
      assertThat(application.execInContainer("touch", "/opt/sarathi/here").getStderr())
          .contains("Read-only file system");
      assertThat(application.execInContainer("/opt/sarathi/bin/healthcheck").getExitCode())
          .isZero();
    }
  }

  @Test
  void shouldStopOnSigtermInMidGenerationAndGoOnElsewhere() {
    final List<PromptRequest> requests = longRequests();
    try (GenericContainer<?> first = cluster.application("stopped", Map.of());
        GenericContainer<?> second = cluster.application("stopped", Map.of())) {
      first.start();
      send("stopped", requests);
      awaitMiddle("stopped", requests);

      // when
      final long start = System.nanoTime();
      docker().stopContainerCmd(first.getContainerId()).withTimeout(GRACE).exec();
      final Duration stopped = Duration.ofNanos(System.nanoTime() - start);
      System.out.printf("stopped after %.1f s%n", stopped.toMillis() / 1000.0);

      // then
      assertThat(exitCode(first)).isIn(0L, 143L);
      assertThat(stopped).isLessThan(Duration.ofSeconds(10));
      second.start();
      assertResumed("stopped", requests);
    }
  }

  @Test
  void shouldGoOnAfterKillAndRestart() {
    final List<PromptRequest> requests = longRequests();
    try (GenericContainer<?> application =
        cluster.application("killed", Map.of("KAFKA_GROUP_INSTANCE_ID", "${env:HOSTNAME}"))) {
      application.start();
      send("killed", requests);
      awaitMiddle("killed", requests);

      // when
      docker().killContainerCmd(application.getContainerId()).withSignal("KILL").exec();
      assertThat(exitCode(application)).isEqualTo(137);
      docker().startContainerCmd(application.getContainerId()).exec();

      // then
      assertResumed("killed", requests);
    }
  }

  private static List<PromptRequest> longRequests() {
    return IntStream.range(0, 12)
        .mapToObj(
            i ->
                i % 2 == 0
                    ? Stories.ofLength("request-" + i, 20 + 20 * i, LONG)
                    : Stories.sampled("request-" + i, 20 + 20 * i, LONG))
        .toList();
  }

  private static void send(final String name, final List<PromptRequest> requests) {
    Prompts.send(cluster.bootstrapServers(), name + "-prompts", cluster.registryUrl(), requests);
  }

  private static TokenLog log(final String name) {
    return new TokenLog(cluster.bootstrapServers(), name + "-tokens", cluster.registryUrl());
  }

  private static void awaitMiddle(final String name, final List<PromptRequest> requests) {
    final long deadline = System.nanoTime() + Duration.ofMinutes(3).toNanos();
    try (TokenLog log = log(name)) {
      while (log.tokens() < requests.size() * LONG / 5) {
        assertThat(System.nanoTime()).as("%d tokens", log.tokens()).isLessThan(deadline);
        log.poll();
      }
      assertThat(log.terminals()).as("ended before the end").isLessThan(requests.size());
    }
  }

  private static void assertEveryAnswer(final String name, final List<PromptRequest> requests) {
    try (TokenLog log = log(name);
        Oracle oracle = new Oracle()) {
      log.awaitTerminals(requests.size(), Duration.ofMinutes(5));
      for (final PromptRequest request : requests) {
        log.assertExactlyOnce(request.getId().orElseThrow(), oracle.answers(request));
      }
    }
  }

  /** As if nothing had happened, but for some that were taken up a second time. */
  private static void assertResumed(final String name, final List<PromptRequest> requests) {
    assertEveryAnswer(name, requests);
    try (TokenLog log = log(name)) {
      log.awaitTerminals(requests.size(), Duration.ofMinutes(1));
      assertThat(requests)
          .as("resumed at an index above 0")
          .anyMatch(
              request -> {
                final String id = request.getId().orElseThrow();
                return log.of(id).getFirst().getAttempt() == 1
                    && log.of(id).getLast().getAttempt() == 2;
              });
    }
  }

  private static Instant startedAt(final GenericContainer<?> container) {
    return Instant.parse(container.getCurrentContainerInfo().getState().getStartedAt());
  }

  private static long exitCode(final GenericContainer<?> container) {
    return docker()
        .inspectContainerCmd(container.getContainerId())
        .exec()
        .getState()
        .getExitCodeLong();
  }

  private static DockerClient docker() {
    return DockerClientFactory.lazyClient();
  }
}
