package dev.sarathi.runtime.capacity;

import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import javax.xml.stream.XMLOutputFactory;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamWriter;

/** A picture with a vertical axis from 0, a colour for each series. */
final class Chart {
  private static final int LEFT = 60;
  private static final int TOP = 60;
  private static final int HEIGHT = 260;
  private static final int BOTTOM = 60;
  private static final int MARGIN = 20;
  private static final String INK = "#222222";
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
    void write(Chart chart, XMLStreamWriter svg) throws XMLStreamException;
  }

  private void write(final Path file, final Content content)
      throws IOException, XMLStreamException {
    try (Writer to = Files.newBufferedWriter(file)) {
      final XMLStreamWriter svg = XMLOutputFactory.newInstance().createXMLStreamWriter(to);
      svg.writeStartDocument();
      svg.writeStartElement("svg");
      svg.writeDefaultNamespace("http://www.w3.org/2000/svg");
      svg.writeAttribute("width", Integer.toString(LEFT + width + MARGIN));
      svg.writeAttribute("height", Integer.toString(TOP + HEIGHT + BOTTOM));
      svg.writeAttribute("font-family", "Helvetica, Arial, sans-serif");
      svg.writeAttribute("font-size", "11");
      rectangle(svg, 0, 0, LEFT + width + MARGIN, TOP + HEIGHT + BOTTOM, "#ffffff");
      text(svg, MARGIN, 18, "start", title);
      double x = MARGIN;
      for (int i = 0; i < series.size(); i++) {
        rectangle(svg, x, 28, 10, 10, COLOURS.get(i));
        text(svg, x + 14, 37, "start", series.get(i));
        x += 34 + series.get(i).length() * 6.0;
      }
      for (int line = 0; line <= 4; line++) {
        rectangle(svg, LEFT, y(most * line / 4), width, 1, GRID);
        text(svg, LEFT - 6, y(most * line / 4) + 4, "end", number(most * line / 4));
      }
      content.write(this, svg);
      svg.writeEndElement();
      svg.writeEndDocument();
      svg.flush();
    }
  }

  private double y(final double value) {
    return TOP + HEIGHT * (1 - value / most);
  }

  private void bars(final XMLStreamWriter svg, final List<Group> groups) throws XMLStreamException {
    final double groupWidth = (double) width / groups.size();
    final double bar = groupWidth * 0.8 / series.size();
    for (int g = 0; g < groups.size(); g++) {
      final Group group = groups.get(g);
      for (int i = 0; i < group.values.length; i++) {
        final double x = LEFT + groupWidth * (g + 0.1) + bar * i;
        final double top = y(group.values[i]);
        rectangle(svg, x, top, bar - 2, TOP + HEIGHT - top, COLOURS.get(i));
        text(svg, x + bar / 2, top - 3, "middle", number(group.values[i]));
      }
      final String[] words = group.label.split("\n");
      for (int i = 0; i < words.length; i++) {
        text(svg, LEFT + groupWidth * (g + 0.5), TOP + HEIGHT + 16 + 13.0 * i, "middle", words[i]);
      }
    }
  }

  private void lines(final XMLStreamWriter svg, final String axis, final List<Point> points)
      throws XMLStreamException {
    final double last = points.stream().mapToDouble(Point::x).max().orElse(1);
    for (int i = 0; i < series.size(); i++) {
      final int line = i;
      final StringBuilder path = new StringBuilder();
      for (final Point point : points.stream().filter(p -> p.series == line).toList()) {
        final double x = LEFT + width * point.x / last;
        path.append(coordinate(x)).append(',').append(coordinate(y(point.y))).append(' ');
        rectangle(svg, x - 2, y(point.y) - 2, 4, 4, COLOURS.get(i));
      }
      svg.writeEmptyElement("polyline");
      svg.writeAttribute("points", path.toString().strip());
      svg.writeAttribute("fill", "none");
      svg.writeAttribute("stroke", COLOURS.get(i));
    }
    for (int tick = 0; tick <= 4; tick++) {
      text(svg, LEFT + width * tick / 4.0, TOP + HEIGHT + 16, "middle", number(last * tick / 4));
    }
    text(svg, LEFT + width / 2.0, TOP + HEIGHT + 34, "middle", axis);
  }

  private static String number(final double value) {
    return String.format(Locale.ROOT, value < 0.1 && value > 0 ? "%.3f" : "%.2f", value);
  }

  private static String coordinate(final double value) {
    return String.format(Locale.ROOT, "%.2f", value);
  }

  private static void rectangle(
      final XMLStreamWriter svg,
      final double x,
      final double y,
      final double width,
      final double height,
      final String colour)
      throws XMLStreamException {
    svg.writeEmptyElement("rect");
    svg.writeAttribute("x", coordinate(x));
    svg.writeAttribute("y", coordinate(y));
    svg.writeAttribute("width", coordinate(width));
    svg.writeAttribute("height", coordinate(height));
    svg.writeAttribute("fill", colour);
  }

  private static void text(
      final XMLStreamWriter svg,
      final double x,
      final double y,
      final String anchor,
      final String content)
      throws XMLStreamException {
    svg.writeStartElement("text");
    svg.writeAttribute("x", coordinate(x));
    svg.writeAttribute("y", coordinate(y));
    svg.writeAttribute("text-anchor", anchor);
    svg.writeAttribute("fill", INK);
    svg.writeCharacters(content);
    svg.writeEndElement();
  }
}
