package dev.sarathi.streams.cli;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sarathi.runtime.benchmark.Shape;
import dev.sarathi.runtime.benchmark.gpu.Figure;
import dev.sarathi.runtime.benchmark.gpu.GpuBenchmark;
import dev.sarathi.runtime.benchmark.gpu.GpuBenchmark.Sizes;
import dev.sarathi.runtime.execute.cuda.CudaExecutor;
import dev.sarathi.runtime.execute.cuda.Driver;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code sarathi gpu-bench}. */
@Command(
    name = "gpu-bench",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "How fast the GPU decodes, prefills and does both at once, beside what it yields at most."
          + " Weights are random, of a published model's shape, and made on the spot."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {"0:measured", "1:the GPU failed", "2:there is no GPU that can be used"})
final class GpuBenchCommand implements Callable<Integer> {
  private static final double TERA = 1e12;
  private static final String LINE = "%-14s  %-46s  %10s %-11s  %-9s  %s%n";

  private static final JsonMapper MAPPER = new JsonMapper();

  @Spec private CommandSpec command;

  @Option(
      names = "--shape",
      paramLabel = "NAME",
      split = ",",
      description =
          "llama-2-7b, llama-3-8b, tinyllama-1.1b, llama-3.2-1b, smollm2-135m or storyteller."
              + " Default: llama-2-7b,llama-3-8b")
  private List<String> shapes = List.of("llama-2-7b", "llama-3-8b");

  @Option(
      names = "--peer-flops",
      paramLabel = "TFLOPS",
      description =
          "What a framework's largest bfloat16 product reaches here, as tests/bench/matmul_peer.py"
              + " measures it: ours are then told beside it.")
  private Optional<Double> peerFlops = Optional.empty();

  @Option(
      names = "--small",
      description =
          "Only to see that it runs: short prompts, few rounds. The figures mean nothing.")
  private boolean small;

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description =
          "Also write the figures and the work as JSON, which tests/bench/requests_peer.py reads.")
  private Optional<Path> json = Optional.empty();

  @Override
  public Integer call() throws IOException {
    final List<Shape> chosen;
    try {
      chosen = shapes.stream().map(Shape::named).toList();
    } catch (final IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
    if (peerFlops.isPresent() && !(peerFlops.get() > 0)) {
      throw new ParameterException(
          command.commandLine(), "--peer-flops is " + peerFlops.get() + "; valid is above 0");
    }
    final Optional<String> problem = CudaExecutor.unavailable();
    if (problem.isPresent()) {
      return GpuKit.refuse(command, problem.get());
    }
    final PrintWriter out = command.commandLine().getOut();
    final String device = GpuKit.device();
    out.println(device);
    out.println();
    final List<Figure> figures = new ArrayList<>();
    final Sizes sizes = small ? Sizes.SMALL : Sizes.FULL;
    final GpuBenchmark benchmark =
        new GpuBenchmark(
            Driver::open,
            sizes,
            peerFlops.map(tera -> OptionalDouble.of(tera * TERA)).orElse(OptionalDouble.empty()),
            figure -> {
              figures.add(figure);
              print(out, figure);
            });
    benchmark.ceilings();
    for (final Shape shape : chosen) {
      benchmark.shape(shape);
    }
    if (json.isPresent()) {
      write(json.get(), device, figures, chosen, sizes);
    }
    return 0;
  }

  private static void print(final PrintWriter out, final Figure figure) {
    out.printf(
        LINE,
        figure.subject(),
        figure.measured(),
        figure.value().map("%.2f"::formatted).orElse("-"),
        figure.unit(),
        figure.reached().map(reached -> reached ? "reached" : "missed").orElse(""),
        figure.detail() + figure.reached().map(reached -> "; goal " + figure.goal()).orElse(""));
    out.flush();
  }

  /** With what another framework needs to be given the same work. */
  private static void write(
      final Path file,
      final String device,
      final List<Figure> figures,
      final List<Shape> shapes,
      final Sizes sizes)
      throws IOException {
    final ObjectNode root = MAPPER.createObjectNode().put("device", device);
    root.set("shapes", MAPPER.valueToTree(shapes));
    root.set("requests", MAPPER.valueToTree(sizes.mixedRequests()));
    for (final Figure figure : figures) {
      final ObjectNode entry =
          root.withArray("figures")
              .addObject()
              .put("subject", figure.subject())
              .put("measured", figure.measured());
      figure.value().ifPresent(value -> entry.put("value", value));
      entry.put("unit", figure.unit()).put("detail", figure.detail());
      figure
          .reached()
          .ifPresent(reached -> entry.put("goal", figure.goal()).put("reached", reached));
    }
    MAPPER.writerWithDefaultPrettyPrinter().writeValue(file.toFile(), root);
  }
}
