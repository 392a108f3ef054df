package dev.sarathi.streams.cli;

import dev.sarathi.runtime.capacity.Workload;
import dev.sarathi.runtime.execute.simulated.Deployment;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Option;

/** What is simulated: a model on its GPUs, requests, and how long a token may take. */
final class SimulationOptions {
  private static final String STRICT = "strict";
  private static final String RELAXED = "relaxed";

  @Option(
      names = "--model",
      paramLabel = "NAME",
      description =
          "The model and its GPUs: mistral-7b, yi-34b, llama-2-70b-a100, llama-2-70b-a40,"
              + " falcon-180b, llama-2-7b-h100 or llama-2-70b-h100. Default: ${DEFAULT-VALUE}")
  private String model = "yi-34b";

  @Option(
      names = "--profile",
      paramLabel = "FILE",
      description = "What `sarathi profile` wrote, instead of --model.")
  private Optional<Path> profile = Optional.empty();

  @Option(
      names = "--trace",
      paramLabel = "NAME",
      description =
          "openchat_sharegpt4, arxiv_summarization (synthetic), or a CSV file with the columns"
              + " prompt and output. Default: ${DEFAULT-VALUE}")
  private String trace = "openchat_sharegpt4";

  @Option(
      names = "--slo",
      paramLabel = "SLO",
      description =
          "P99 TBT: strict or relaxed, as the paper sets them for the model, or seconds. Default:"
              + " ${DEFAULT-VALUE}")
  private String slo = STRICT;

  Deployment deployment() throws IOException {
    return profile.isPresent() ? Deployment.read(profile.get()) : Deployment.named(model);
  }

  Workload workload() throws IOException {
    return Workload.named(trace);
  }

  /** P99 TBT in seconds. */
  double objective(final Deployment.Targets targets) {
    return switch (slo) {
      case STRICT -> targets.strictTbt();
      case RELAXED -> targets.relaxedTbt();
      default -> {
        try {
          yield Double.parseDouble(slo);
        } catch (final NumberFormatException e) {
          throw new IllegalArgumentException(
              "--slo is %s; valid is strict, relaxed or seconds".formatted(slo), e);
        }
      }
    };
  }
}
