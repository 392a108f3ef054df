package dev.sarathi.streams.cli;

import dev.sarathi.runtime.benchmark.gpu.Check;
import dev.sarathi.runtime.benchmark.gpu.Check.Result;
import dev.sarathi.runtime.benchmark.gpu.GpuCheck;
import dev.sarathi.runtime.benchmark.gpu.PrimitiveRecording;
import dev.sarathi.runtime.execute.cuda.CudaExecutor;
import dev.sarathi.runtime.execute.cuda.Driver;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
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

/** {@code sarathi gpu-check}. */
@Command(
    name = "gpu-check",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Whether the GPU computes what it should: its instructions one by one, small models of every family, their logits and"
          + " greedy tokens beside those of Hugging Face's transformers, and their bits in batches,"
          + " in chunks and after preemption beside their bits alone.",
      "Where compute-sanitizer is at hand, some models once more under its tools."
    },
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {"0:all is well", "1:a check failed", "2:there is no GPU that can be used"})
final class GpuCheckCommand implements Callable<Integer> {
  private static final String LINE = "%-20s  %-34s  %-7s  %s%n";

  @Spec private CommandSpec command;

  @Option(
      names = "--references",
      paramLabel = "DIR",
      description = "The models and what transformers make of them. Default: those of the sources.")
  private Path references =
      Path.of(System.getProperty("sarathi.home", "."), "gpu-runtime", "src", "test", "resources");

  @Option(
      names = "--models",
      paramLabel = "NAME",
      split = ",",
      description = "Only these. Default: all.")
  private List<String> models = List.of();

  @Option(
      names = "--longest-prompt",
      paramLabel = "TOKENS",
      description = "Leave out longer prompts.")
  private int longestPrompt = Integer.MAX_VALUE;

  @Option(
      names = "--compute-sanitizer",
      paramLabel = "FILE",
      description = "Default: the one on the PATH, if there is one.")
  private Optional<Path> sanitizer = Optional.empty();

  @Option(
      names = "--record",
      paramLabel = "DIR",
      description =
          "Write the bits of each instruction into DIR/ARCHITECTURE.json. Where the references have"
              + " such a file in primitives, they are compared with it.")
  private Optional<Path> record = Optional.empty();

  @Option(names = "--no-sanitizer", description = "Without compute-sanitizer.")
  private boolean noSanitizer;

  @Override
  public Integer call() throws IOException {
    final Optional<String> problem = CudaExecutor.unavailable();
    if (problem.isPresent()) {
      return GpuKit.refuse(command, problem.get());
    }
    if (!Files.isDirectory(references.resolve("golden"))) {
      throw new ParameterException(
          command.commandLine(),
          "there are no references in " + references + ": a folder with golden is needed");
    }
    final GpuCheck check = new GpuCheck(Driver::open, references, longestPrompt);
    final List<String> chosen = models.isEmpty() ? check.models() : models;
    for (final String model : chosen) {
      if (!check.models().contains(model)) {
        throw new ParameterException(
            command.commandLine(),
            "model is %s; valid is %s".formatted(model, String.join(", ", check.models())));
      }
    }
    final PrintWriter out = command.commandLine().getOut();
    out.println(GpuKit.device());
    out.println();
    out.printf(LINE, "what", "compared", "result", "figure");
    final List<Check> failed = new ArrayList<>();
    final Optional<PrimitiveRecording> recording =
        check.primitives(seen -> take(seen, out, failed));
    if (record.isPresent() && recording.isPresent()) {
      out.println("recorded in " + recording.get().write(record.get()));
    }
    chosen.forEach(model -> check.run(model, seen -> take(seen, out, failed)));
    if (!noSanitizer) {
      SanitizerRun.run(sanitizer, references, seen -> take(seen, out, failed));
    }
    out.println();
    out.println(
        failed.isEmpty() ? "all is well" : failed.size() + " checks failed; please report them");
    out.flush();
    return failed.isEmpty() ? 0 : 1;
  }

  private static void take(final Check seen, final PrintWriter out, final List<Check> failed) {
    out.printf(LINE, seen.subject(), seen.compares(), seen.result(), seen.figure());
    out.flush();
    if (seen.result() == Result.FAILED) {
      failed.add(seen);
    }
  }
}
