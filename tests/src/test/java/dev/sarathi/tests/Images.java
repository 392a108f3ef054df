package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.testcontainers.DockerClientFactory;

/** The images that the container tests run: ours, built of this tree, and those of others. */
final class Images {
  static final String TAG = "test";
  static final String APPLICATION = "sarathi-streams:" + TAG;
  static final String KAFKA = "apache/kafka:4.3.1";
  static final String REGISTRY = "apicurio/apicurio-registry:3.3.3";

  private static final Path HOME = Path.of("..").toAbsolutePath().normalize();
  private static final Duration LIMIT = Duration.ofMinutes(15);

  /** Why there are none; absent until it was tried. */
  private static Optional<String> missing;

  private Images() {}

  /** Makes them ready; without Docker, or without the images of others, the test is skipped. */
  static synchronized void makeReady() throws IOException, InterruptedException {
    if (missing == null) {
      missing = make();
    }
    assumeTrue(missing.isEmpty(), () -> missing.orElseThrow());
  }

  private static Optional<String> make() throws IOException, InterruptedException {
    if (!DockerClientFactory.instance().isDockerAvailable()) {
      return Optional.of("no Docker daemon answers");
    }
    final Output others = run(Map.of(), "build/stand-in-images");
    if (others.status() != 0) {
      return Optional.of("images are missing: " + others.text());
    }
    // Maven has just built what goes into it.
    final Output ours = run(Map.of("SARATHI_SKIP_BUILD", "1"), "./sarathi", "image", TAG);
    assertThat(ours.status()).as(ours.text()).isZero();
    return Optional.empty();
  }

  /** How a command ended, and what it said. */
  record Output(int status, String text) {}

  /** Runs a command in the root of the source tree. */
  static Output run(final Map<String, String> environment, final String... command)
      throws IOException, InterruptedException {
    final Path log = Files.createTempFile("command", ".log");
    try {
      final ProcessBuilder builder =
          new ProcessBuilder(command)
              .directory(HOME.toFile())
              .redirectErrorStream(true)
              .redirectOutput(log.toFile());
      builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
      builder.environment().putAll(environment);
      final Process process = builder.start();
      final boolean ended = process.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS);
      process.destroyForcibly().waitFor();
      assertThat(ended)
          .as(() -> "%s took longer than %s".formatted(List.of(command), LIMIT))
          .isTrue();
      return new Output(process.exitValue(), Files.readString(log));
    } finally {
      Files.delete(log);
    }
  }
}
