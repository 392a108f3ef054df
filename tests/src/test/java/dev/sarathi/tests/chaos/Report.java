package dev.sarathi.tests.chaos;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.LongStream;

/** What a campaign did and found, for people and for programs. */
final class Report {
  private static final int SHOWN_ANOMALIES = 50;

  private final Campaign.Plan plan;
  private final List<PhaseResult> phases;

  Report(final Campaign.Plan plan, final List<PhaseResult> phases) {
    this.plan = plan;
    this.phases = phases;
  }

  boolean isClean() {
    return anomalies().isEmpty();
  }

  List<Anomaly> anomalies() {
    return phases.stream().map(PhaseResult::anomalies).flatMap(List::stream).toList();
  }

  List<Struck> faults() {
    return phases.stream().map(PhaseResult::faults).flatMap(List::stream).toList();
  }

  /** How often each kind of fault happened, none left out. */
  Map<String, Integer> faultsByKind() {
    final Map<String, Integer> counts = new LinkedHashMap<>();
    for (final Fault fault : Fault.values()) {
      counts.put(fault.toString(), (int) faults().stream().filter(s -> s.fault() == fault).count());
    }
    return counts;
  }

  Map<String, Integer> anomaliesByName() {
    final Map<String, Integer> counts = new TreeMap<>();
    anomalies().forEach(anomaly -> counts.merge(anomaly.kind().toString(), 1, Integer::sum));
    return counts;
  }

  /** Tokens committed from each fault to the next, and from the last to the end of its phase. */
  private long[] progress() {
    final LongStream.Builder between = LongStream.builder();
    for (final PhaseResult phase : phases) {
      for (int i = 0; i < phase.faults().size(); i++) {
        final long until =
            i + 1 < phase.faults().size() ? phase.faults().get(i + 1).tokens() : phase.tokens();
        between.add(until - phase.faults().get(i).tokens());
      }
    }
    return between.build().sorted().toArray();
  }

  private long total(final String metric) {
    return phases.stream().mapToLong(phase -> phase.totals().getOrDefault(metric, 0L)).sum();
  }

  private long sum(final java.util.function.ToLongFunction<PhaseResult> of) {
    return phases.stream().mapToLong(of).sum();
  }

  /** The figures, by their names in the report. */
  Map<String, Object> figures() {
    final long[] progress = progress();
    final Map<String, Object> figures = new LinkedHashMap<>();
    figures.put("seed", plan.seed());
    figures.put("instances", plan.instances());
    figures.put("brokers", plan.brokers());
    figures.put("protocols", String.join(", ", plan.protocols()));
    figures.put("seconds", Math.round(phases.stream().mapToDouble(PhaseResult::seconds).sum()));
    figures.put("faults", faults().size());
    figures.put("requests", sum(PhaseResult::requests));
    figures.put("requests cancelled", sum(PhaseResult::cancelled));
    figures.put("requests sent twice", sum(PhaseResult::repeated));
    figures.put("tokens committed", sum(PhaseResult::tokens));
    figures.put("token records committed", sum(PhaseResult::tokenRecords));
    figures.put("token records of aborted transactions", sum(PhaseResult::abortedRecords));
    figures.put("generations resumed above index 0", sum(PhaseResult::resumedAboveZero));
    figures.put("resumptions by the applications' logs", sum(PhaseResult::resumptions));
    figures.put("tokens recomputed", total("recomputed-tokens"));
    figures.put("stale tokens dropped", total("stale-tokens"));
    figures.put("repeated requests dropped", total("duplicates"));
    figures.put("restarts of application processes", sum(PhaseResult::restarts));
    if (progress.length > 0) {
      figures.put("tokens between faults, least", progress[0]);
      figures.put("tokens between faults, median", progress[progress.length / 2]);
      figures.put("intervals without a token", LongStream.of(progress).filter(n -> n == 0).count());
    }
    figures.put("anomalies", anomalies().size());
    return figures;
  }

  String markdown() {
    final List<String> lines = new ArrayList<>();
    lines.add("# Fault campaign: " + (isClean() ? "no anomalies" : "ANOMALIES"));
    lines.add("");
    lines.add("| | |");
    lines.add("| --- | --- |");
    figures().forEach((name, value) -> lines.add("| %s | %s |".formatted(name, value)));
    lines.add("");
    lines.add("| fault | times |");
    lines.add("| --- | --- |");
    faultsByKind()
        .forEach(
            (name, count) ->
                lines.add("| %s | %s |".formatted(name, count == 0 ? "0 (not done)" : count)));
    if (!isClean()) {
      lines.add("");
      lines.add("| anomaly | times |");
      lines.add("| --- | --- |");
      anomaliesByName().forEach((name, count) -> lines.add("| %s | %d |".formatted(name, count)));
      lines.add("");
      anomalies().stream().limit(SHOWN_ANOMALIES).forEach(a -> lines.add("- " + a));
      if (anomalies().size() > SHOWN_ANOMALIES) {
        lines.add("- and %d more".formatted(anomalies().size() - SHOWN_ANOMALIES));
      }
    }
    for (final PhaseResult phase : phases) {
      lines.add("");
      lines.add("## Faults under the %s protocol".formatted(phase.protocol()));
      lines.add("");
      lines.add("| at | fault | of | tokens committed |");
      lines.add("| --- | --- | --- | --- |");
      phase
          .faults()
          .forEach(
              s ->
                  lines.add(
                      "| %.1f s | %s | %s | %d |"
                          .formatted(s.at().toMillis() / 1e3, s.fault(), s.target(), s.tokens())));
    }
    return String.join("\n", lines) + "\n";
  }

  /** Writes FILE, and the same as JSON beside it. */
  void write(final Path file) throws IOException {
    final Path absolute = file.toAbsolutePath();
    Files.createDirectories(absolute.getParent());
    Files.writeString(absolute, markdown());
    final Map<String, Object> json = new LinkedHashMap<>();
    json.put("figures", figures());
    json.put("faultsByKind", faultsByKind());
    json.put("anomaliesByName", anomaliesByName());
    json.put("anomalies", anomalies().stream().map(Anomaly::toString).toList());
    json.put(
        "faults",
        faults().stream()
            .map(
                s ->
                    Map.of(
                        "atMs", s.at().toMillis(),
                        "fault", s.fault().toString(),
                        "target", s.target(),
                        "tokens", s.tokens()))
            .toList());
    new ObjectMapper()
        .enable(SerializationFeature.INDENT_OUTPUT)
        .writeValue(
            absolute
                .resolveSibling(
                    absolute.getFileName().toString().replaceFirst("\\.md$", "") + ".json")
                .toFile(),
            json);
  }
}
