package dev.sarathi.streams.cli;

import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.benchmark.EngineBenchmark;
import dev.sarathi.runtime.benchmark.EngineBenchmark.Serving;
import dev.sarathi.runtime.benchmark.EngineBenchmark.Speed;
import dev.sarathi.runtime.benchmark.EngineBenchmark.Throughput;
import dev.sarathi.runtime.benchmark.ServingLoad;
import dev.sarathi.runtime.benchmark.Shape;
import dev.sarathi.runtime.benchmark.SyntheticModel;
import dev.sarathi.runtime.schedule.Policy;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code sarathi bench engine}. */
@Command(
    name = "engine",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Measures prefill, decode and serving with a model, or with random weights of the shape of"
          + " one, which need no download. The load arrives as a Poisson process: every sixth"
          + " prompt is long, the others have 64 to 256 tokens."
    })
final class EngineBenchCommand implements Callable<Integer> {
  /** The load brings so many times the prompt tokens that prefill alone bears. */
  private static final double OVERLOAD = 1.5;

  private static final JsonMapper MAPPER =
      JsonMapper.builder().propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE).build();

  @Spec private CommandSpec command;

  @Option(
      names = "--shape",
      paramLabel = "NAME",
      description =
          "Random weights of this shape: tinyllama-1.1b, llama-3.2-1b, smollm2-135m, storyteller,"
              + " llama-2-7b or llama-3-8b."
              + " Default: ${DEFAULT-VALUE}")
  private String shape = "tinyllama-1.1b";

  @Option(names = "--model", paramLabel = "DIR", description = "A model's folder, instead.")
  private Optional<Path> model = Optional.empty();

  @Option(
      names = "--cache",
      paramLabel = "DIR",
      description =
          "Where the random weights are kept, two bytes each. Default: sarathi/models in the user's"
              + " cache directory.")
  private Path cache = SyntheticModel.defaultCache();

  @Option(
      names = "--weights",
      paramLabel = "FORMAT",
      description = "auto (as stored: bfloat16) or int8. Default: ${DEFAULT-VALUE}")
  private String weights = "auto";

  @Option(
      names = "--kernels",
      paramLabel = "SET",
      description = "Of the CPU executor: java, native or auto. Default: ${DEFAULT-VALUE}")
  private String kernels = "java";

  @Option(names = "--threads", paramLabel = "N", description = "Default: the number of processors.")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Option(
      names = "--prompt",
      paramLabel = "TOKENS",
      description = "Prefilled alone, in one iteration. Default: ${DEFAULT-VALUE}")
  private int prompt = 512;

  @Option(
      names = "--batches",
      paramLabel = "N",
      split = ",",
      description =
          "How many sequences decode together, each after a prompt of 128 tokens. Default:"
              + " ${DEFAULT-VALUE}")
  private int[] batches = {1, 4, 8, 16};

  @Option(
      names = "--tokens",
      paramLabel = "N",
      description = "Timed of each sequence that decodes. Default: ${DEFAULT-VALUE}")
  private int tokens = 32;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      description = "Of prefill and decode; their median counts. Default: ${DEFAULT-VALUE}")
  private int rounds = 3;

  @Option(
      names = "--policies",
      paramLabel = "NAME",
      split = ",",
      description = "As sarathi.scheduler; each serves the load. Default: ${DEFAULT-VALUE}")
  private List<String> policies = List.of("stall-free", "prefill-first", "mixed", "decode-first");

  @Option(
      names = "--budget",
      paramLabel = "TOKENS",
      description = "Token budget of the serving run, or auto. Default: ${DEFAULT-VALUE}")
  private String budget = "256";

  @Option(
      names = "--requests",
      paramLabel = "N",
      description = "Of the load; 0 for no serving run. Default: ${DEFAULT-VALUE}")
  private int requests = 12;

  @Option(
      names = "--long",
      paramLabel = "TOKENS",
      description = "Of a long prompt, if the model's context has room. Default: ${DEFAULT-VALUE}")
  private int longPrompt = 4096;

  @Option(
      names = "--output",
      paramLabel = "TOKENS",
      description = "Of each answer of the load. Default: ${DEFAULT-VALUE}")
  private int output = 64;

  @Option(
      names = "--rate",
      paramLabel = "RATE",
      description = "Requests/s. Default: one and a half times what the measured prefill bears.")
  private Optional<Double> rate = Optional.empty();

  @Option(names = "--json", description = "Print one JSON object; all times are in seconds.")
  private boolean json;

  /** What was measured, and under which load. */
  private record Report(
      String model,
      String weights,
      String kernels,
      int threads,
      Throughput throughput,
      double rate,
      List<ServingLoad.Arrival> load,
      List<Serving> serving) {}

  @Override
  public Integer call() throws IOException, InterruptedException {
    try {
      final TokenBudget tokenBudget = TokenBudget.parse(budget, TokenBudget.DEFAULT_TARGET);
      policies.forEach(Policy::named);
      if (rate.isPresent() && !(rate.get() > 0)) {
        throw new IllegalArgumentException("rate is " + rate.get() + "; valid is above 0");
      }
      final Path folder =
          model.isPresent()
              ? ModelFolder.find(model)
              : SyntheticModel.in(cache, Shape.named(shape));
      final EngineBenchmark benchmark =
          new EngineBenchmark(
              EngineConfig.of(folder)
                  .withWeights(weights)
                  .withKernels(kernels)
                  .withThreads(threads));
      final Report report = measure(benchmark, folder, tokenBudget);
      final PrintWriter out = command.commandLine().getOut();
      if (json) {
        out.println(MAPPER.writeValueAsString(report));
      } else {
        print(out, report);
      }
      return 0;
    } catch (final IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
  }

  private Report measure(
      final EngineBenchmark benchmark, final Path folder, final TokenBudget tokenBudget)
      throws InterruptedException {
    final Throughput throughput = benchmark.throughput(prompt, batches, tokens, rounds);
    final List<Serving> serving = new ArrayList<>();
    List<ServingLoad.Arrival> arrivals = List.of();
    double served = 0;
    if (requests > 0) {
      final int longest = Math.min(longPrompt, benchmark.maxContext() - output);
      served =
          rate.orElse(
              OVERLOAD
                  * throughput.prefill().tokensPerSecond()
                  / ServingLoad.meanPrompt(requests, longest));
      final ServingLoad load = ServingLoad.poisson(requests, served, longest, output);
      arrivals = load.arrivals();
      for (final String policy : policies) {
        serving.add(benchmark.serve(load, policy, tokenBudget));
      }
    }
    return new Report(
        folder.getFileName().toString(),
        weights,
        kernels,
        threads,
        throughput,
        served,
        arrivals,
        serving);
  }

  private void print(final PrintWriter out, final Report report) {
    final Throughput throughput = report.throughput;
    out.printf(
        "%s, %d threads, kernels %s; started in %.1f s%n%n",
        report.model, report.threads, throughput.kernels(), throughput.startSeconds());
    out.println("                          tokens/s");
    out.printf(
        "prefill, %5d tokens   %10.1f%n",
        throughput.prefillTokens(), throughput.prefill().tokensPerSecond());
    for (final Speed speed : throughput.decode()) {
      out.printf("decode, batch %3d       %10.1f%n", speed.sequences(), speed.tokensPerSecond());
    }
    if (!report.serving.isEmpty()) {
      out.printf(
          "%n%d requests at %.3f/s, long prompts of %d tokens, answers of %d, token budget %s%n%n",
          report.load.size(),
          report.rate,
          report.load.stream().mapToInt(ServingLoad.Arrival::prompt).max().orElse(0),
          output,
          budget);
      out.println(
          "                tokens/s   TTFT p50       p99    TBT p50       p99   longest stall");
      for (final Serving serving : report.serving) {
        out.printf(
            "%-14s  %8.1f  %7.2f s  %6.2f s  %7.3f s  %6.3f s  %12.3f s%n",
            serving.policy(),
            serving.tokensPerSecond(),
            serving.p50Ttft(),
            serving.p99Ttft(),
            serving.p50Tbt(),
            serving.p99Tbt(),
            serving.longestStall());
      }
    }
  }
}
