package dev.sarathi.streams.cli;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.Profiler;
import dev.sarathi.runtime.execute.simulated.Deployment;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code sarathi profile}. */
@Command(
    name = "profile",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Measures how long batches of many shapes take with a model on this machine, and writes what"
          + " `sarathi capacity --profile` and `sarathi advise --profile` simulate."
    })
final class ProfileCommand implements Callable<Integer> {
  @Spec private CommandSpec command;

  @Option(
      names = "--model",
      paramLabel = "DIR",
      description = "The model's folder. Default: the bundled one.")
  private Optional<Path> model = Optional.empty();

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      description = "The profile, as JSON. Default: ${DEFAULT-VALUE}")
  private Path output = Path.of("profile.json");

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "CPU threads. Default: one for each processor.")
  private Optional<Integer> threads = Optional.empty();

  @Option(
      names = "--seconds",
      paramLabel = "S",
      description = "For each of three rounds, at most. Default: ${DEFAULT-VALUE}")
  private double seconds = 10;

  @Override
  public Integer call() throws IOException {
    try {
      if (!(seconds > 0)) {
        throw new IllegalArgumentException("--seconds is %s; valid is above 0".formatted(seconds));
      }
      final EngineConfig config = EngineConfig.of(ModelFolder.find(model));
      final Deployment profile =
          Profiler.profile(
              threads.map(config::withThreads).orElse(config),
              Duration.ofNanos((long) (seconds * 1e9)));
      profile.write(output);
      command
          .commandLine()
          .getOut()
          .printf("%s: %d batches measured%n", profile.title(), profile.measured().size());
      return 0;
    } catch (final IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }
}
