package dev.sarathi.runtime.trace;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.sarathi.runtime.Iteration;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * The iterations of one engine, as JSON lines: a {@link TraceHeader}, then an {@link Iteration} in
 * each line, keys in snake case.
 */
public record Trace(TraceHeader header, List<Iteration> iterations) {
  static final ObjectMapper JSON =
      JsonMapper.builder().propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE).build();

  public Trace {
    iterations = List.copyOf(iterations);
  }

  /**
   * Reads a file that a {@link TraceWriter} wrote. Its last line may be cut off, as a killed
   * process leaves it.
   *
   * @throws IllegalArgumentException naming the file and the line that is no part of a trace
   */
  public static Trace read(final Path file) throws IOException {
    try (BufferedReader lines = Files.newBufferedReader(file)) {
      final String first = lines.readLine();
      final TraceHeader header = parse(file, 1, first == null ? "" : first, TraceHeader.class);
      if (!TraceHeader.FORMAT.equals(header.format())) {
        throw new IllegalArgumentException(
            "%s: format is %s; supported: %s".formatted(file, header.format(), TraceHeader.FORMAT));
      }
      final List<Iteration> iterations = new ArrayList<>();
      String line = lines.readLine();
      for (int number = 2; line != null; number++) {
        final String next = lines.readLine();
        if (next != null || line.endsWith("}")) {
          iterations.add(parse(file, number, line, Iteration.class));
        }
        line = next;
      }
      return new Trace(header, iterations);
    }
  }

  /** The iterations between two times, counted from the beginning of the first. */
  public Trace between(final Duration from, final Duration to) {
    final long origin = iterations.isEmpty() ? 0 : iterations.getFirst().start();
    return new Trace(
        header,
        iterations.stream()
            .filter(iteration -> iteration.end() - origin >= from.toNanos())
            .filter(iteration -> iteration.start() - origin <= to.toNanos())
            .toList());
  }

  private static <T> T parse(
      final Path file, final int number, final String line, final Class<T> type) {
    try {
      return JSON.readValue(line, type);
    } catch (final JsonProcessingException e) {
      throw new IllegalArgumentException(
          "%s: line %d is no line of a trace: %s".formatted(file, number, e.getOriginalMessage()),
          e);
    }
  }
}
