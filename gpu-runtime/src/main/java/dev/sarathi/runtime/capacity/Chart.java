package dev.sarathi.runtime.capacity;

import dev.sarathi.runtime.trace.Svg;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import javax.xml.stream.XMLStreamException;

/** A picture with a vertical axis from 0, a colour for each series. */
final class Chart {
  private static final int LEFT = 60;
  private static final int TOP = 60;
  private static final int HEIGHT = 260;
  private static final int BOTTOM = 60;
  private static final int MARGIN = 20;
  private static final String GRID = "#dddddd";
  private static final List<String> COLOURS = List.of("#4878b0", "#f2a33a", "#d6473f", "#9a9a9a");

  private final String title;
  private final List<String> series;
  private final int width;
  private final double most;

  /** The values of a group of bars, one for each series. */
  record Group(String label, double... values) {}

  /** A point of a line. */
  record Point(int series, double x, double y) {}

  private Chart(final String title, final List<String> series, final int width, final double most) {
    this.title = title;
    this.series = series;
    this.width = width;
    this.most = most;
  }

  static void bars(
      final Path file, final String title, final List<String> series, final List<Group> groups)
      throws IOException, XMLStreamException {
    final double most =
        groups.stream().flatMapToDouble(group -> Arrays.stream(group.values)).max().orElse(1);
    new Chart(title, series, groups.size() * 130, most)
        .write(file, (chart, svg) -> chart.bars(svg, groups));
  }

  /** Lines over a horizontal axis from 0. */
  static void lines(
      final Path file,
      final String title,
      final List<String> series,
      final String axis,
      final List<Point> points)
      throws IOException, XMLStreamException {
    final double most = points.stream().mapToDouble(Point::y).max().orElse(1);
    new Chart(title, series, 640, most).write(file, (chart, svg) -> chart.lines(svg, axis, points));
  }

  @FunctionalInterface
  private interface Content {
    void write(Chart chart, Svg svg) throws XMLStreamException;
  }

  private void write(final Path file, final Content content)
      throws IOException, XMLStreamException {
    try (Writer to = Files.newBufferedWriter(file)) {
      final Svg svg = new Svg(to, LEFT + width + MARGIN, TOP + HEIGHT + BOTTOM);
      svg.head(
          MARGIN,
          title,
          IntStream.range(0, series.size())
              .mapToObj(i -> new Svg.Entry(series.get(i), COLOURS.get(i)))
              .toList());
      for (int line = 0; line <= 4; line++) {
        svg.rectangle(LEFT, y(most * line / 4), width, 1, GRID);
        svg.text(LEFT - 6, y(most * line / 4) + 4, "end", number(most * line / 4));
      }
      content.write(this, svg);
      svg.end();
    }
  }

  private double y(final double value) {
    return TOP + HEIGHT * (1 - value / most);
  }

  private void bars(final Svg svg, final List<Group> groups) throws XMLStreamException {
    final double groupWidth = (double) width / groups.size();
    final double bar = groupWidth * 0.8 / series.size();
    for (int g = 0; g < groups.size(); g++) {
      final Group group = groups.get(g);
      for (int i = 0; i < group.values.length; i++) {
        final double x = LEFT + groupWidth * (g + 0.1) + bar * i;
        final double top = y(group.values[i]);
        svg.rectangle(x, top, bar - 2, TOP + HEIGHT - top, COLOURS.get(i));
        svg.text(x + bar / 2, top - 3, "middle", number(group.values[i]));
      }
      final String[] words = group.label.split("\n");
      for (int i = 0; i < words.length; i++) {
        svg.text(LEFT + groupWidth * (g + 0.5), TOP + HEIGHT + 16 + 13.0 * i, "middle", words[i]);
      }
    }
  }

  private void lines(final Svg svg, final String axis, final List<Point> points)
      throws XMLStreamException {
    final double last = points.stream().mapToDouble(Point::x).max().orElse(1);
    for (int i = 0; i < series.size(); i++) {
      final int line = i;
      final List<double[]> path = new ArrayList<>();
      for (final Point point : points.stream().filter(p -> p.series == line).toList()) {
        final double x = LEFT + width * point.x / last;
        path.add(new double[] {x, y(point.y)});
        svg.rectangle(x - 2, y(point.y) - 2, 4, 4, COLOURS.get(i));
      }
      svg.line(path, COLOURS.get(i));
    }
    for (int tick = 0; tick <= 4; tick++) {
      svg.text(LEFT + width * tick / 4.0, TOP + HEIGHT + 16, "middle", number(last * tick / 4));
    }
    svg.text(LEFT + width / 2.0, TOP + HEIGHT + 34, "middle", axis);
  }

  private static String number(final double value) {
    return String.format(Locale.ROOT, value < 0.1 && value > 0 ? "%.3f" : "%.2f", value);
  }
}
