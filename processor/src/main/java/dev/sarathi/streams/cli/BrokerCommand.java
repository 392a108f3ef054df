package dev.sarathi.streams.cli;

import dev.sarathi.streams.broker.BrokerFailedException;
import dev.sarathi.streams.broker.DevelopmentBroker;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code ./sarathi broker}: a Kafka broker in the foreground. */
@Command(
    name = "broker",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Runs a Kafka broker for development until Ctrl-C.",
      "It takes connections from this machine only, replicates nothing and secures nothing."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {"0:stopped", "1:the broker did not start, or ended by itself", "2:misuse"})
public final class BrokerCommand implements Callable<Integer> {

  // Ctrl-C in a terminal also reaches the broker itself, which then ends with the signal's code.
  private static final Set<Integer> STOPPED = Set.of(0, 128 + 2, 128 + 15);

  @Option(
      names = "--port",
      defaultValue = "9092",
      description = "Where clients connect; 0 takes a free port (default: ${DEFAULT-VALUE}).")
  private int port;

  @Option(
      names = "--dir",
      paramLabel = "DIR",
      defaultValue = "${sys:java.io.tmpdir}/sarathi-broker",
      description = "Where its data and log lie, kept at the end (default: ${DEFAULT-VALUE}).")
  private Path directory;

  @Spec private CommandSpec command;

  @Override
  public Integer call() throws InterruptedException {
    final PrintWriter err = command.commandLine().getErr();
    try (DevelopmentBroker broker =
        DevelopmentBroker.start(DevelopmentBroker.Options.in(directory).withPort(port))) {
      announce(broker);
      final int code = broker.awaitEnd();
      if (STOPPED.contains(code)) {
        return 0;
      }
      err.println("The broker ended with exit code " + code + ". The end of its log:");
      err.println(broker.logTail());
    } catch (BrokerFailedException | IllegalArgumentException e) {
      err.println(e.getMessage());
    }
    err.flush();
    return 1;
  }

  private void announce(final DevelopmentBroker broker) {
    final PrintWriter out = command.commandLine().getOut();
    final String address = broker.bootstrapServers();
    final String option = address.endsWith(":9092") ? "" : " --bootstrap-server " + address;
    out.println("Kafka is ready at " + address + ". Ctrl-C stops it.");
    out.println("Its data and log are in " + directory.toAbsolutePath() + ".");
    out.println();
    out.println("Next, each in a terminal of its own:");
    out.println(
        "  ./sarathi run --config FILE   with bootstrap.servers="
            + address
            + ", application.id=demo, schema.registry.url=mock://sarathi");
    out.println("  ./sarathi tail" + option);
    out.println("  ./sarathi submit" + option + " \"Once upon a time\"");
    out.flush();
  }
}
