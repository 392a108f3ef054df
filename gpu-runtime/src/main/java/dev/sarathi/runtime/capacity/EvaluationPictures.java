package dev.sarathi.runtime.capacity;

import dev.sarathi.runtime.execute.simulated.Deployment;
import dev.sarathi.runtime.schedule.Policy;
import dev.sarathi.runtime.trace.Timeline;
import dev.sarathi.runtime.trace.Trace;
import dev.sarathi.runtime.trace.TraceHeader;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import javax.xml.stream.XMLStreamException;

/** The pictures of an {@link Evaluation}, as SVG. */
public final class EvaluationPictures {
  private static final int TIMELINE_BUDGET = 512;

  private EvaluationPictures() {}

  /** Writes all of them into a directory. */
  public static void write(final Evaluation evaluation, final Path directory)
      throws IOException, XMLStreamException {
    for (final String trace : List.of(Evaluation.SHAREGPT, Evaluation.ARXIV)) {
      capacities(evaluation, trace, directory.resolve("capacity-" + trace + ".svg"));
    }
    load(evaluation, directory.resolve("tbt-under-load.svg"));
    chunks(evaluation, directory.resolve("chunk-overhead.svg"));
    for (final Policy policy : Evaluation.POLICIES) {
      timeline(policy, directory.resolve("timeline-" + policy + ".svg"));
    }
  }

  private static void capacities(final Evaluation evaluation, final String trace, final Path file)
      throws IOException, XMLStreamException {
    Chart.bars(
        file,
        "Capacity in requests/s, " + trace + ", simulated",
        Evaluation.POLICIES.stream().map(Policy::toString).toList(),
        evaluation.rows().stream()
            .filter(row -> row.trace().equals(trace))
            .map(
                row ->
                    new Chart.Group(
                        row.deployment().name() + (row.strict() ? "\nstrict" : "\nrelaxed"),
                        Evaluation.POLICIES.stream().mapToDouble(row::qps).toArray()))
            .toList());
  }

  private static void load(final Evaluation evaluation, final Path file)
      throws IOException, XMLStreamException {
    final List<Policy> policies = List.of(Policy.STALL_FREE, Policy.PREFILL_FIRST, Policy.MIXED);
    Chart.lines(
        file,
        "P99 TBT in seconds, Yi-34B, openchat_sharegpt4, token budget 512, simulated",
        policies.stream().map(Policy::toString).toList(),
        "requests/s; a line ends where the median scheduling delay exceeds 2 s",
        evaluation.loads().stream()
            .map(l -> new Chart.Point(policies.indexOf(l.policy()), l.qps(), l.p99Tbt()))
            .toList());
  }

  private static void chunks(final Evaluation evaluation, final Path file)
      throws IOException, XMLStreamException {
    Chart.bars(
        file,
        "Time of a prefill in chunks over that of the whole, Yi-34B",
        List.of("artifact, measured", "simulated, 17.4 ms CPU", "simulated, 5 ms CPU"),
        evaluation.chunks().stream()
            .map(
                c ->
                    new Chart.Group(
                        "%d\nby %d".formatted(c.prompt(), c.chunk()),
                        c.measured(),
                        c.asArtifact(),
                        c.simulated()))
            .toList());
  }

  /** As the paper's Figure 7: two requests run when two more arrive. */
  static void timeline(final Policy policy, final Path file)
      throws IOException, XMLStreamException {
    final Workload four =
        new Workload(
            "four requests",
            8_192,
            List.of(
                new Workload.Request(0, 512, 40),
                new Workload.Request(0, 512, 24),
                new Workload.Request(0.5, 3_072, 16),
                new Workload.Request(0.2, 2_048, 12)));
    final Deployment yi = Deployment.named("yi-34b");
    final Replay replay = new Replay(Scenario.of(yi, policy, TIMELINE_BUDGET, four), 1);
    final Trace trace =
        new Trace(
            new TraceHeader(
                TraceHeader.FORMAT,
                yi.title(),
                policy.toString(),
                Integer.toString(TIMELINE_BUDGET),
                128),
            replay.traced());
    try (Writer to = Files.newBufferedWriter(file)) {
      new Timeline(trace, 900).write(to);
    }
  }
}
