package dev.sarathi.streams.cli;

import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.sarathi.runtime.capacity.Advice;
import dev.sarathi.runtime.capacity.Workload;
import dev.sarathi.runtime.execute.simulated.Deployment;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code sarathi advise}. */
@Command(
    name = "advise",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Recommends a policy, a token budget and a number of instances for a model, a load and an SLO,"
          + " with the reasons: a fitted model of the iterations' time proposes, simulations decide."
    })
final class AdviseCommand implements Callable<Integer> {
  @Spec private CommandSpec command;
  @Mixin private SimulationOptions simulation;

  @Option(
      names = "--gpus",
      paramLabel = "N",
      description = "How many GPUs there are. Default: those of one instance.")
  private Optional<Integer> gpus = Optional.empty();

  @Option(
      names = "--qps",
      paramLabel = "RATE",
      description = "The requests/s to be borne. Default: as many as the GPUs bear.")
  private Optional<Double> qps = Optional.empty();

  @Option(
      names = "--requests",
      paramLabel = "N",
      description =
          "Only the first requests of the trace; fewer are quicker and less exact. Default:"
              + " ${DEFAULT-VALUE}")
  private int requests = 512;

  @Option(names = "--json", description = "Print one JSON object.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    try {
      final Deployment deployment = simulation.deployment();
      final Workload all = simulation.workload();
      final Advice advice =
          Advice.of(
              deployment,
              gpus.orElse(deployment.gpus()),
              simulation.objective(deployment.targets()),
              all.first(Math.min(requests, all.requests().size())),
              qps.isPresent() ? OptionalDouble.of(qps.get()) : OptionalDouble.empty());
      print(deployment, advice);
      return 0;
    } catch (final IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  private void print(final Deployment deployment, final Advice advice) throws IOException {
    final PrintWriter out = command.commandLine().getOut();
    if (json) {
      out.println(
          JsonMapper.builder()
              .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
              .build()
              .writeValueAsString(advice));
      return;
    }
    out.println(deployment.title());
    out.printf("  sarathi.scheduler      %s%n", advice.policy());
    out.printf("  sarathi.token.budget   %s%n", advice.budget());
    out.printf("  instances              %d, of %d GPUs%n", advice.instances(), advice.gpus());
    out.printf(
        "  capacity               %.3f requests/s, %.3f each%n", advice.totalQps(), advice.qps());
    out.println();
    advice.reasons().forEach(reason -> out.println("- " + reason));
  }
}
