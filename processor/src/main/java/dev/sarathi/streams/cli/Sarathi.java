package dev.sarathi.streams.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/**
 * The command {@code sarathi}. A subcommand is a class of this package that picocli runs; it
 * reports a failure by throwing, and its message is what the user gets to see.
 */
@Command(
    name = "sarathi",
    versionProvider = Version.class,
    mixinStandardHelpOptions = true,
    description = "Generates text with a language model inside a Kafka Streams processor.",
    synopsisSubcommandLabel = "COMMAND",
    subcommands = {
      DemoCommand.class,
      GenerateCommand.class,
      RunCommand.class,
      BatchCommand.class,
      JobsCommand.class,
      SubmitCommand.class,
      TailCommand.class,
      ReplayCommand.class,
      AdminCommand.class,
      TimelineCommand.class,
      CapacityCommand.class,
      AdviseCommand.class,
      ProfileCommand.class,
      BenchCommand.class,
      GpuCheckCommand.class,
      GpuBenchCommand.class,
      BrokerCommand.class,
      InfoCommand.class,
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:done",
      "1:the work failed",
      "2:the command line is wrong",
      "3:something it needs is missing: a JDK, a broker, a model",
    },
    footerHeading = "%nEnvironment:%n",
    footer = {
      "  SARATHI_JAVA_OPTS    options for the JVM",
      "  SARATHI_LOG_LEVEL    DEBUG, INFO (default), WARN or ERROR",
      "  SARATHI_STACKTRACE   1 does what --stacktrace does",
      "",
      "sarathi test [--all] builds everything and runs the tests; sarathi fuzz tries the parsers.",
    })
public final class Sarathi implements Runnable {
  private static final int ENVIRONMENT = 3;

  @Spec private CommandSpec command;

  @Option(
      names = "--stacktrace",
      scope = ScopeType.INHERIT,
      description = "Show where an error comes from.")
  private boolean stacktrace;

  private Sarathi() {}

  /** Runs the command line and ends the process with its exit code. */
  public static void main(final String[] arguments) {
    System.exit(commandLine().execute(arguments));
  }

  /** The command line with its subcommands and the way errors are shown. */
  static CommandLine commandLine() {
    final Sarathi root = new Sarathi();
    return new CommandLine(root)
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setUsageHelpAutoWidth(true)
        .setParameterExceptionHandler(Sarathi::refuse)
        .setExecutionExceptionHandler((error, failed, parsed) -> root.report(error, failed));
  }

  @Override
  public void run() {
    command.commandLine().usage(command.commandLine().getOut());
  }

  private static int refuse(final ParameterException error, final String[] arguments) {
    final CommandLine refused = error.getCommandLine();
    final String name = refused.getCommandSpec().qualifiedName();
    refused.getErr().printf("%s: %s; see %s --help%n", name, error.getMessage(), name);
    return ExitCode.USAGE;
  }

  private int report(final Exception error, final CommandLine failed) {
    if (stacktrace || "1".equals(System.getenv("SARATHI_STACKTRACE"))) {
      error.printStackTrace(failed.getErr());
    } else {
      failed.getErr().printf("sarathi: %s%n", summary(error));
    }
    return error instanceof EnvironmentException ? ENVIRONMENT : ExitCode.SOFTWARE;
  }

  /** The messages of an error and its causes in one line, without repeating what one passes on. */
  private static String summary(final Throwable error) {
    String summary = "";
    for (Throwable cause = error; cause != null; cause = cause.getCause()) {
      final String message =
          cause.getMessage() == null ? cause.getClass().getName() : cause.getMessage();
      if (!summary.contains(message)) {
        summary += (summary.isEmpty() ? "" : ": ") + message;
      }
    }
    return summary.replaceAll("\\s*\\R\\s*", "; ");
  }
}
