package dev.sarathi.runtime.execute.simulated;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** The measured times that come with the project; the README beside them tells whose they are. */
final class Measurements {
  private static final Map<String, Curve> LINEAR = curves("linear.csv", 3);
  private static final Map<String, Curve> NETWORK = curves("network.csv", 4);

  private Measurements() {}

  /** The linear and pointwise operators of one layer, by tokens. */
  static Curve linear(final String gpu, final String model, final int tensorParallel) {
    return find(LINEAR, "%s,%s,%d".formatted(gpu, model, tensorParallel));
  }

  /** Summing up among the GPUs of one node, by bytes. */
  static Curve allReduce(final String topology, final int gpus) {
    return find(NETWORK, "%s,all_reduce,%d,%d".formatted(topology, gpus, gpus));
  }

  /** From one node to another, by bytes. */
  static Curve sendReceive(final String topology) {
    return find(NETWORK, topology + ",send_recv,2,1");
  }

  private static Curve find(final Map<String, Curve> curves, final String key) {
    return Optional.ofNullable(curves.get(key))
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "nothing was measured for %s; there is %s".formatted(key, curves.keySet())));
  }

  /** The first columns are the key, the next two a point of its curve. */
  private static Map<String, Curve> curves(final String file, final int keyColumns) {
    final Map<String, TreeMap<Long, Double>> points = new HashMap<>();
    for (final String line : lines(file)) {
      final String[] cells = line.split(",");
      points
          .computeIfAbsent(
              String.join(",", List.of(cells).subList(0, keyColumns)), _ -> new TreeMap<>())
          .put(Long.valueOf(cells[keyColumns]), Double.valueOf(cells[keyColumns + 1]));
    }
    final Map<String, Curve> curves = new TreeMap<>();
    points.forEach((key, curve) -> curves.put(key, new Curve(curve)));
    return curves;
  }

  /** A table by two sizes: its rows by the first column, each a curve over the header's sizes. */
  static TreeMap<Integer, TreeMap<Long, Double>> table(final String file) {
    final TreeMap<Integer, TreeMap<Long, Double>> table = new TreeMap<>();
    final String[] sizes = header(file).split(",");
    for (final String line : lines(file)) {
      final String[] cells = line.split(",");
      final TreeMap<Long, Double> row = new TreeMap<>();
      for (int i = 1; i < cells.length; i++) {
        if (!cells[i].isEmpty()) {
          row.put(Long.valueOf(sizes[i]), Double.valueOf(cells[i]));
        }
      }
      table.put(Integer.valueOf(cells[0]), row);
    }
    return table;
  }

  private static String header(final String file) {
    return read(file).getFirst();
  }

  private static List<String> lines(final String file) {
    final List<String> lines = read(file);
    return lines.subList(1, lines.size());
  }

  private static List<String> read(final String file) {
    final InputStream resource = Measurements.class.getResourceAsStream(file);
    try (BufferedReader lines =
        new BufferedReader(new InputStreamReader(resource, StandardCharsets.UTF_8))) {
      return lines.lines().toList();
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
