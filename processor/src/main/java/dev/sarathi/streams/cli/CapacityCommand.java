package dev.sarathi.streams.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.sarathi.runtime.capacity.Arrivals;
import dev.sarathi.runtime.capacity.Capacity;
import dev.sarathi.runtime.capacity.Evaluation;
import dev.sarathi.runtime.capacity.EvaluationPictures;
import dev.sarathi.runtime.capacity.EvaluationReport;
import dev.sarathi.runtime.capacity.MixedLoad;
import dev.sarathi.runtime.capacity.Scenario;
import dev.sarathi.runtime.capacity.Slo;
import dev.sarathi.runtime.capacity.Workload;
import dev.sarathi.runtime.execute.simulated.Deployment;
import dev.sarathi.runtime.schedule.Overlap;
import dev.sarathi.runtime.schedule.Policy;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import javax.xml.stream.XMLStreamException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code sarathi capacity}. */
@Command(
    name = "capacity",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Finds the highest rate of requests that GPUs bear under a policy, by simulation: the"
          + " engine's own schedulers over measured GPU times. A rate is borne if P99 TBT is within"
          + " the SLO and the median scheduling delay within 2 s."
    })
final class CapacityCommand implements Callable<Integer> {
  private static final double BURSTS = 4;

  private static final JsonMapper MAPPER =
      JsonMapper.builder().propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE).build();

  @Spec private CommandSpec command;
  @Mixin private SimulationOptions simulation;

  @Option(
      names = "--policy",
      paramLabel = "NAME",
      description = "As sarathi.scheduler. Default: ${DEFAULT-VALUE}")
  private String policy = Policy.STALL_FREE.toString();

  @Option(
      names = "--budget",
      paramLabel = "TOKENS",
      description =
          "Token budget, or auto: chosen for each iteration. Default: the paper's for the model and"
              + " the SLO.")
  private Optional<String> budget = Optional.empty();

  @Option(
      names = "--requests",
      paramLabel = "N",
      description = "Only the first requests of the trace; fewer are quicker and less exact.")
  private Optional<Integer> requests = Optional.empty();

  @Option(
      names = "--cpu-ms",
      paramLabel = "MS",
      description =
          "What each iteration costs beside the GPUs' work, in each stage of a pipeline. Default:"
              + " ${DEFAULT-VALUE}")
  private double cpuMillis = Scenario.CPU_MILLIS;

  @Option(
      names = "--cv",
      paramLabel = "CV",
      description =
          "Draws new gaps between the requests: 1 for a Poisson process, above 1 in bursts (gamma)."
              + " Default: the trace's own gaps, else 1.")
  private Optional<Double> cv = Optional.empty();

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Draws new gaps, from this seed. Default: 0")
  private Optional<Long> seed = Optional.empty();

  @Option(
      names = "--chunks-in-flight",
      description = "Let chunks of one prompt follow each other through a pipeline.")
  private boolean chunksInFlight;

  @Option(
      names = "--mixed",
      description =
          "Compare interactive and bulk requests on instances of their own with both on the same"
              + " ones: half of --instances bear as much interactive load as they can within --slo"
              + " and --ttft, in bursts; what bulk is there room for? Takes minutes.")
  private boolean mixed;

  @Option(
      names = "--instances",
      paramLabel = "N",
      description = "With --mixed: of the model, an even number. Default: ${DEFAULT-VALUE}")
  private int instances = 8;

  @Option(
      names = "--ttft",
      paramLabel = "SECONDS",
      description = "With --mixed: P99 TTFT of interactive requests. Default: ${DEFAULT-VALUE}")
  private double ttft = 2;

  @Option(
      names = "--paper",
      description =
          "Run every model, both SLOs, both traces and all policies instead, and print a report in"
              + " Markdown beside what the paper reports. Takes minutes.")
  private boolean paper;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "DIR",
      description = "With --paper: write the report and its pictures there too.")
  private Optional<Path> output = Optional.empty();

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "With --paper: how many rows at a time. Default: the number of processors.")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Option(names = "--json", description = "Print one JSON object.")
  private boolean json;

  @Override
  public Integer call() throws IOException, InterruptedException, XMLStreamException {
    try {
      if (paper) {
        evaluate();
        return 0;
      }
      if (mixed) {
        compare();
        return 0;
      }
      final Scenario scenario = scenario();
      final Slo objective = Slo.ofTbt(simulation.objective(scenario.deployment().targets()));
      final Capacity capacity = Capacity.of(scenario, objective);
      final PrintWriter out = command.commandLine().getOut();
      if (json) {
        out.println(json(scenario, objective, capacity));
      } else {
        print(out, scenario, objective, capacity);
      }
      return 0;
    } catch (final IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  private void evaluate() throws IOException, InterruptedException, XMLStreamException {
    if (threads < 1) {
      throw new IllegalArgumentException("--threads is %d; valid is 1 or more".formatted(threads));
    }
    final PrintWriter err = command.commandLine().getErr();
    final Evaluation evaluation =
        Evaluation.run(
            requests.orElse(2_048),
            threads,
            row -> err.printf("%s, %s: done%n", row.deployment().title(), row.trace()));
    final String report = EvaluationReport.of(evaluation);
    command.commandLine().getOut().print(report);
    if (output.isPresent()) {
      Files.createDirectories(output.get());
      Files.writeString(output.get().resolve("report.md"), report);
      EvaluationPictures.write(evaluation, output.get());
    }
  }

  /** Bursts, unless something else is asked for. */
  private void compare() throws IOException {
    final Deployment deployment = simulation.deployment();
    final double tbt = simulation.objective(deployment.targets());
    final Workload workload = workload();
    final MixedLoad load =
        MixedLoad.of(
            deployment,
            instances,
            tbt,
            ttft,
            workload.arriving(new Arrivals(cv.orElse(BURSTS), seed.orElse(0L))));
    final PrintWriter out = command.commandLine().getOut();
    if (json) {
      out.println(MAPPER.writeValueAsString(load));
      return;
    }
    out.printf(
        "%s, %d instances; interactive: %.3f requests/s of %s in bursts (CV %s),"
            + " P99 TBT at most %s s, P99 TTFT at most %s s%n%n",
        deployment.title(), instances, load.qps(), workload.name(), cv.orElse(BURSTS), tbt, ttft);
    out.println("                          P99 TTFT   P99 TBT   bulk tokens/s");
    row(out, "apart, bulk budget " + load.apart().budget(), load.apart());
    row(out, "together, budget auto", load.together());
    out.printf("%nTogether there is room for %.2f times the bulk.%n", load.gain());
  }

  private Workload workload() throws IOException {
    final Workload all = simulation.workload();
    return requests.isPresent() ? all.first(requests.get()) : all;
  }

  private static void row(final PrintWriter out, final String name, final MixedLoad.Side side) {
    out.printf(
        "%-24s  %6.3f s  %6.3f s  %12.0f%n",
        name, side.p99Ttft(), side.p99Tbt(), side.bulkTokens());
  }

  private Scenario scenario() throws IOException {
    final Deployment deployment = simulation.deployment();
    final Deployment.Targets targets = deployment.targets();
    final boolean strict = simulation.objective(targets) <= targets.strictTbt();
    final int papers = strict ? targets.strictBudget() : targets.relaxedBudget();
    Workload workload = workload();
    if (cv.isPresent() || seed.isPresent()) {
      workload = workload.arriving(new Arrivals(cv.orElse(1.0), seed.orElse(0L)));
    }
    return Scenario.of(deployment, Policy.named(policy), papers, workload)
        .withTokenBudget(
            TokenBudget.parse(
                budget.orElse(Integer.toString(papers)),
                Duration.ofNanos(Math.round(simulation.objective(targets) * 1e9))))
        .withCpuMillis(cpuMillis)
        .withOverlap(chunksInFlight ? Overlap.CHUNKS : Overlap.NONE);
  }

  private static String json(final Scenario scenario, final Slo slo, final Capacity capacity)
      throws JsonProcessingException {
    final Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("model", scenario.deployment().name());
    fields.put("policy", scenario.policy().toString());
    fields.put(
        "budget",
        switch (scenario.tokenBudget()) {
          case TokenBudget.Fixed(final int tokens) -> tokens;
          case TokenBudget.Adaptive _ -> TokenBudget.AUTO;
        });
    fields.put("trace", scenario.workload().name());
    fields.put("requests", scenario.workload().requests().size());
    fields.put("slo_p99_tbt_s", slo.p99Tbt());
    fields.put("qps", capacity.qps());
    fields.put("p99_tbt_s", capacity.p99Tbt());
    fields.put("p50_ttft_s", capacity.medianTtft());
    fields.put("median_delay_s", capacity.medianDelay());
    fields.put("bound", capacity.bound());
    fields.put("extrapolated", scenario.deployment().extrapolated());
    return MAPPER.writeValueAsString(fields);
  }

  private static void print(
      final PrintWriter out, final Scenario scenario, final Slo slo, final Capacity capacity) {
    out.printf(
        "%s, %s, token budget %s, %d requests of %s%n",
        scenario.deployment().title(),
        scenario.policy(),
        scenario.tokenBudget(),
        scenario.workload().requests().size(),
        scenario.workload().name());
    out.printf("  capacity               %.3f requests/s%n", capacity.qps());
    out.printf("  P99 TBT                %.3f s, of at most %s%n", capacity.p99Tbt(), slo.p99Tbt());
    out.printf("  median TTFT            %.3f s%n", capacity.medianTtft());
    out.printf(
        "  median delay           %.3f s, of at most %s%n",
        capacity.medianDelay(), slo.medianDelay());
    out.printf(
        "  bound                  %s%n",
        switch (capacity.bound()) {
          case "tbt" -> "P99 TBT";
          case "delay" -> "median scheduling delay";
          default -> "none: so few requests are borne at any rate";
        });
    out.println();
    out.println("Simulated from measured GPU times; not measured, but scaled or taken over:");
    scenario.deployment().extrapolated().forEach(line -> out.println("- " + line));
  }
}
