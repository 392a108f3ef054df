package dev.sarathi.streams.cli;

import dev.sarathi.runtime.benchmark.gpu.Check;
import dev.sarathi.runtime.benchmark.gpu.Check.Result;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** Some of the checks in a JVM of their own, under the tools of NVIDIA's compute-sanitizer. */
final class SanitizerRun {
  private static final String NAME = "compute-sanitizer";
  private static final int FOUND_SOMETHING = 86;

  /** Few: under a sanitizer everything takes many times as long. */
  private static final String MODELS = "llama-heads64,falcon-sequential";

  private SanitizerRun() {}

  static void run(final Optional<Path> given, final Path references, final Consumer<Check> seen) {
    final Optional<Path> sanitizer = given.or(SanitizerRun::onThePath);
    if (sanitizer.isEmpty()) {
      seen.accept(
          new Check(NAME, "memory, races, barriers", Result.SKIPPED, "it is not on the PATH"));
      return;
    }
    for (final String tool : List.of("memcheck", "racecheck", "synccheck")) {
      seen.accept(run(sanitizer.get(), references, tool));
    }
  }

  private static Optional<Path> onThePath() {
    final String path = Optional.ofNullable(System.getenv("PATH")).orElse("");
    return Stream.of(path.split(File.pathSeparator))
        .filter(directory -> !directory.isEmpty())
        .map(directory -> Path.of(directory, NAME))
        .filter(Files::isExecutable)
        .findFirst();
  }

  private static Check run(final Path sanitizer, final Path references, final String tool) {
    final List<String> command =
        List.of(
            sanitizer.toString(),
            "--tool",
            tool,
            "--error-exitcode",
            Integer.toString(FOUND_SOMETHING),
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            GpuKit.class.getName(),
            "gpu-check",
            "--references",
            references.toString(),
            "--models",
            MODELS,
            "--longest-prompt",
            "33",
            "--no-sanitizer");
    try {
      final Path log = Files.createTempFile("sarathi-" + tool + ".", ".log");
      final int status =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .start()
              .waitFor();
      if (status == 0) {
        Files.delete(log);
        return new Check(NAME, tool, Result.OK, "nothing found with " + MODELS);
      }
      final String what = status == FOUND_SOMETHING ? "it found something" : "exit code " + status;
      return new Check(NAME, tool, Result.FAILED, what + ": see " + log);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      return new Check(NAME, tool, Result.SKIPPED, "interrupted");
    }
  }
}
