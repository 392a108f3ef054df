package dev.sarathi.streams.cli;

import dev.sarathi.streams.SarathiConfig;
import dev.sarathi.streams.application.Application;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.apache.kafka.common.config.ConfigException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code sarathi run}. */
@Command(
    name = "run",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Runs the application: prompts topic in, tokens and completions out, exactly once.",
      "Stops on SIGTERM or Ctrl-C: what was drained is committed, unfinished generations resume"
          + " at the next start or on another instance."
    })
final class RunCommand implements Callable<Integer> {
  @Spec private CommandSpec command;

  @Option(
      names = "--config",
      required = true,
      paramLabel = "FILE",
      description =
          "Properties: bootstrap.servers, application.id, schema.registry.url, sarathi.* and any"
              + " setting of Kafka Streams. Without sarathi.model the bundled one is used. Of"
              + " several files a later one overrides an earlier one, and a variable such as"
              + " SARATHI_TOKEN_BUDGET or KAFKA_BOOTSTRAP_SERVERS overrides them all.")
  private List<Path> files;

  @Override
  public Integer call() throws InterruptedException {
    final Map<String, Object> properties = PropertiesFile.read(files, "--config", command);
    properties.computeIfAbsent(
        SarathiConfig.MODEL_CONFIG, name -> ModelFolder.find(Optional.empty()).toString());
    final Application application;
    try {
      application = Application.start(properties);
    } catch (final ConfigException e) {
      throw new ParameterException(command.commandLine(), named() + ": " + e.getMessage(), e);
    }
    final Thread closer =
        Thread.ofPlatform().name("sarathi-shutdown").unstarted(application::close);
    Runtime.getRuntime().addShutdownHook(closer);
    return application.awaitStop() ? 0 : 1;
  }

  private String named() {
    return files.stream().map(Path::toString).collect(Collectors.joining(", "));
  }
}
