package dev.sarathi.streams.cli;

import dev.sarathi.runtime.trace.Timeline;
import dev.sarathi.runtime.trace.Trace;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Callable;
import javax.xml.stream.XMLStreamException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code sarathi timeline}. */
@Command(
    name = "timeline",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Draws what an engine did, from the file that --trace or sarathi.trace.file wrote: sequences"
          + " as rows, time to the right; prefill chunks, decodes and stalls by colour."
    })
final class TimelineCommand implements Callable<Integer> {
  @Spec private CommandSpec command;

  @Parameters(paramLabel = "TRACE", description = "The trace: iterations as JSON lines.")
  private Path trace;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "FILE",
      description = "The picture, as SVG. Default: ${DEFAULT-VALUE}")
  private Path output = Path.of("timeline.svg");

  @Option(
      names = "--width",
      paramLabel = "PIXELS",
      description = "Width of the time axis. Default: ${DEFAULT-VALUE}")
  private int width = 1600;

  @Option(
      names = "--from",
      paramLabel = "MS",
      description = "Leave out what ended before, in milliseconds from the first iteration.")
  private long from;

  @Option(names = "--to", paramLabel = "MS", description = "Leave out what began after.")
  private long to = Long.MAX_VALUE / 1_000_000;

  @Override
  public Integer call() throws IOException, XMLStreamException {
    if (!Files.isReadable(trace)) {
      throw new ParameterException(command.commandLine(), trace + " cannot be read");
    }
    if (width < 100) {
      throw new ParameterException(
          command.commandLine(), "--width is %d, must be at least 100".formatted(width));
    }
    final Timeline timeline;
    try {
      timeline =
          new Timeline(
              Trace.read(trace).between(Duration.ofMillis(from), Duration.ofMillis(to)), width);
    } catch (final IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage(), e);
    }
    try (Writer writer = Files.newBufferedWriter(output)) {
      timeline.write(writer);
    }
    command.commandLine().getOut().println(output);
    return 0;
  }
}
