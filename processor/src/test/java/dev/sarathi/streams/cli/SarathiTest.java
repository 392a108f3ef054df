package dev.sarathi.streams.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;
import picocli.CommandLine.Command;

class SarathiTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @Test
  void shouldListTheCommandsWhenNoneIsGiven() {
    assertThat(run()).isZero();
    assertThat(out.toString()).contains("Usage: sarathi", "Commands:", "info", "Exit codes:");
    assertThat(err.toString()).isEmpty();
  }

  @Test
  void shouldTellOfTheMachine() {
    assertThat(run("info")).isZero();
    assertThat(out.toString())
        .containsPattern("java +\\d+")
        .containsPattern("vector width +\\d+ bits")
        .containsPattern("kernels +java(, native| \\(not native: .+\\))");
  }

  @Test
  void shouldRefuseAnUnknownCommandInOneLine() {
    assertThat(run("inform")).isEqualTo(2);
    assertThat(err.toString()).startsWith("sarathi: Unmatched argument").hasLineCount(1);
  }

  @Test
  void shouldShowAnErrorAndItsCausesInOneLine() {
    assertThat(run("fail")).isEqualTo(1);
    assertThat(err.toString())
        .isEqualTo(
            "sarathi: The broker does not answer: connection refused; host a:1%n".formatted());
  }

  @Test
  void shouldShowWhereAnErrorComesFromWhenAsked() {
    assertThat(run("fail", "--stacktrace")).isEqualTo(1);
    assertThat(err.toString()).contains("IllegalStateException", "at " + getClass().getName());
  }

  @Test
  void shouldTellAMissingPartFromFailedWork() {
    assertThat(run("unavailable")).isEqualTo(3);
    assertThat(err.toString()).isEqualTo("sarathi: no model in models/x%n".formatted());
  }

  private int run(final String... arguments) {
    return Sarathi.commandLine()
        .addSubcommand(new Fail())
        .addSubcommand(new Unavailable())
        .setOut(new PrintWriter(out, true))
        .setErr(new PrintWriter(err, true))
        .execute(arguments);
  }

  @Command(name = "fail")
  static final class Fail implements Callable<Integer> {
    @Override
    public Integer call() {
      final Exception cause = new Exception("connection refused\nhost a:1");
      throw new IllegalStateException("The broker does not answer", cause);
    }
  }

  @Command(name = "unavailable")
  static final class Unavailable implements Runnable {
    @Override
    public void run() {
      throw new EnvironmentException("no model in models/x");
    }
  }
}
