package dev.sarathi.streams.cli;

import dev.sarathi.runtime.execute.cuda.Driver;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;

/**
 * The commands for a machine that has a GPU and nothing else of ours: they need the engine, but
 * neither Kafka nor the processor.
 */
@Command(
    name = "sarathi",
    versionProvider = Version.class,
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    description = "Checks and measures a GPU.",
    subcommands = {GpuCheckCommand.class, GpuBenchCommand.class})
final class GpuKit implements Runnable {
  @CommandLine.Spec private CommandSpec command;

  private GpuKit() {}

  /** Runs the command line and ends the process with its exit code. */
  public static void main(final String[] arguments) {
    System.exit(
        new CommandLine(new GpuKit())
            .setUsageHelpAutoWidth(true)
            .setExecutionExceptionHandler(
                (error, failed, parsed) -> {
                  failed.getErr().println("sarathi: " + error.getMessage());
                  return ExitCode.SOFTWARE;
                })
            .execute(arguments));
  }

  @Override
  public void run() {
    command.commandLine().usage(command.commandLine().getOut());
  }

  /** Says why no GPU can be used. */
  static int refuse(final CommandSpec refused, final String reason) {
    refused.commandLine().getErr().println(refused.qualifiedName() + ": " + reason);
    return ExitCode.USAGE;
  }

  /** What is checked or measured, and by what. */
  static String device() {
    try (Driver driver = Driver.open()) {
      final Driver.Device device = driver.device();
      return "%s (%s, %d processors), Sarathi Streams %s"
          .formatted(device.name(), device.architecture(), device.processors(), Version.number());
    }
  }
}
