package dev.sarathi.tests.chaos;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code sarathi chaos}. */
@Command(
    name = "sarathi chaos",
    mixinStandardHelpOptions = true,
    description = {
      "Breaks things while the application generates, and verifies every answer.",
      "",
      "A replicated cluster and several applications in processes of their own; kills, pauses,"
          + " network faults, full disks; then every request is held against the oracle. Ends with"
          + " 0 if there is no anomaly, with 1 if there is one."
    })
final class ChaosCommand implements Callable<Integer> {
  private enum Protocol {
    classic(List.of("classic")),
    streams(List.of("streams")),
    both(List.of("classic", "streams"));

    private final List<String> phases;

    Protocol(final List<String> phases) {
      this.phases = phases;
    }
  }

  @Option(
      names = "--minutes",
      defaultValue = "5",
      paramLabel = "N",
      description = "How long load and faults last, together (default: ${DEFAULT-VALUE}).")
  private double minutes;

  @Option(
      names = "--seed",
      defaultValue = "1",
      paramLabel = "S",
      description = "Decides the order of the faults and the prompts (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--instances",
      defaultValue = "3",
      paramLabel = "N",
      description = "Application processes to begin with (default: ${DEFAULT-VALUE}).")
  private int instances;

  @Option(
      names = "--brokers",
      defaultValue = "3",
      paramLabel = "N",
      description = "Broker processes; below 3 none is killed (default: ${DEFAULT-VALUE}).")
  private int brokers;

  @Option(
      names = "--protocol",
      defaultValue = "both",
      paramLabel = "P",
      description =
          "The group protocol: ${COMPLETION-CANDIDATES}, one after the other (default:"
              + " ${DEFAULT-VALUE}).")
  private Protocol protocol;

  @Option(
      names = "--interval",
      defaultValue = "8",
      paramLabel = "SECONDS",
      description = "Between faults, on average (default: ${DEFAULT-VALUE}).")
  private double interval;

  @Option(
      names = "--concurrency",
      defaultValue = "24",
      paramLabel = "N",
      description = "Requests under way at a time (default: ${DEFAULT-VALUE}).")
  private int concurrency;

  @Option(
      names = "--report",
      paramLabel = "FILE",
      description = "Writes a report there, in Markdown, and one in JSON beside it.")
  private Optional<Path> report = Optional.empty();

  @Option(
      names = "--logs",
      paramLabel = "DIR",
      description = "Keeps the logs of all processes there.")
  private Optional<Path> logs = Optional.empty();

  public static void main(final String[] arguments) {
    System.exit(
        new CommandLine(new ChaosCommand())
            .setCaseInsensitiveEnumValuesAllowed(true)
            .execute(arguments));
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    final Campaign.Plan plan =
        new Campaign.Plan(
            Duration.ofMillis(Math.round(minutes * 60_000)),
            seed,
            instances,
            brokers,
            protocol.phases,
            Duration.ofMillis(Math.round(interval * 1_000)),
            concurrency);
    final Report result;
    try (Workplace workplace = new Workplace()) {
      try {
        result = new Report(plan, new Campaign(plan, workplace.directory()).run());
      } finally {
        logs.ifPresent(workplace::keepLogs);
      }
    }
    System.out.print(result.markdown());
    if (report.isPresent()) {
      result.write(report.get());
    }
    return result.isClean() ? 0 : 1;
  }
}
