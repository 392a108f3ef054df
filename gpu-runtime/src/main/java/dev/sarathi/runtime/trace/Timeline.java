package dev.sarathi.runtime.trace;

import dev.sarathi.runtime.Iteration;
import java.io.Writer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import javax.xml.stream.XMLOutputFactory;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamWriter;

/**
 * Draws a trace as the Sarathi-Serve paper draws its Figure 7: sequences as rows, time to the
 * right; prefill chunks, decodes, and the stalls between two tokens of a running sequence by
 * colour.
 */
public final class Timeline {
  private static final int LABEL = 150;
  private static final int ROW = 16;
  private static final int BAR = 12;
  private static final int TOP = 64;
  private static final int KV_HEIGHT = 48;
  private static final int MARGIN = 20;

  /** Spans of one kind that lie closer are drawn as one: thousands of slivers help nobody. */
  private static final double JOIN_PIXELS = 0.75;

  private static final String INK = "#222222";
  private static final String GRID = "#dddddd";

  /** What a sequence was doing. */
  enum Activity {
    PREFILL("prefill chunk", "#f2a33a"),
    DECODE("decode", "#4878b0"),
    STALL("stall: running, but not in the batch", "#d6473f"),
    PREEMPTED("preempted: its KV blocks were taken", "#9a9a9a");

    private final String label;
    private final String colour;

    Activity(final String label, final String colour) {
      this.label = label;
      this.colour = colour;
    }
  }

  /** Nanoseconds from the beginning of the trace. */
  record Span(Activity activity, long start, long end) {}

  /** The spans of one sequence, in order of time. */
  record Row(String name, List<Span> spans) {}

  private final Trace trace;
  private final List<Row> rows;
  private final long origin;
  private final double pixelsPerNano;
  private final int width;

  /**
   * @param width of the part of the picture that shows time, in pixels
   */
  public Timeline(final Trace trace, final int width) {
    if (trace.iterations().isEmpty()) {
      throw new IllegalArgumentException("the trace has no iterations; there is nothing to draw");
    }
    this.trace = trace;
    this.width = width;
    this.origin = trace.iterations().getFirst().start();
    this.pixelsPerNano = width / (double) Math.max(1, end());
    this.rows = rows(trace);
  }

  private long end() {
    return trace.iterations().getLast().end() - origin;
  }

  /** One row for each sequence, in the order in which they first ran. */
  static List<Row> rows(final Trace trace) {
    final long origin = trace.iterations().getFirst().start();
    final Map<Long, Row> rows = new LinkedHashMap<>();
    final Map<Long, Long> lastSeen = new LinkedHashMap<>();
    final Map<Long, Boolean> preempted = new LinkedHashMap<>();
    for (final Iteration iteration : trace.iterations()) {
      final long start = iteration.start() - origin;
      final long end = iteration.end() - origin;
      for (final Iteration.Part part : iteration.parts()) {
        final List<Span> spans =
            rows.computeIfAbsent(part.sequence(), _ -> new Row(name(part), new ArrayList<>()))
                .spans();
        final Long before = lastSeen.put(part.sequence(), iteration.id());
        final boolean lost = Boolean.TRUE.equals(preempted.remove(part.sequence()));
        if (lost || before != null && before != iteration.id() - 1) {
          final Activity gap = lost ? Activity.PREEMPTED : Activity.STALL;
          spans.add(new Span(gap, spans.getLast().end(), start));
        }
        spans.add(new Span(part.prefill() ? Activity.PREFILL : Activity.DECODE, start, end));
      }
      iteration.preempted().forEach(sequence -> preempted.put(sequence, true));
    }
    return List.copyOf(rows.values());
  }

  private static String name(final Iteration.Part part) {
    return part.choice() == 0 ? part.request() : part.request() + " #" + part.choice();
  }

  /** Writes the picture as SVG; the writer stays open. */
  public void write(final Writer to) throws XMLStreamException {
    final XMLStreamWriter svg = XMLOutputFactory.newInstance().createXMLStreamWriter(to);
    final int kvTop = TOP + rows.size() * ROW + MARGIN;
    svg.writeStartDocument();
    svg.writeStartElement("svg");
    svg.writeDefaultNamespace("http://www.w3.org/2000/svg");
    svg.writeAttribute("width", Integer.toString(LABEL + width + 2 * MARGIN));
    svg.writeAttribute("height", Integer.toString(kvTop + KV_HEIGHT + MARGIN));
    svg.writeAttribute("font-family", "Helvetica, Arial, sans-serif");
    svg.writeAttribute("font-size", "11");
    rectangle(svg, 0, 0, LABEL + width + 2.0 * MARGIN, kvTop + KV_HEIGHT + MARGIN, "#ffffff");
    title(svg);
    axis(svg, kvTop + KV_HEIGHT);
    for (int i = 0; i < rows.size(); i++) {
      row(svg, rows.get(i), TOP + i * ROW);
    }
    kvUse(svg, kvTop);
    svg.writeEndElement();
    svg.writeEndDocument();
    svg.flush();
  }

  private void title(final XMLStreamWriter svg) throws XMLStreamException {
    text(
        svg,
        MARGIN,
        18,
        "start",
        "%s, %s, token budget %d: %d sequences, %d iterations, %.0f ms"
            .formatted(
                trace.header().model(),
                trace.header().policy(),
                trace.header().tokenBudget(),
                rows.size(),
                trace.iterations().size(),
                end() / 1e6));
    double x = MARGIN;
    for (final Activity activity : Activity.values()) {
      rectangle(svg, x, 28, 10, 10, activity.colour);
      text(svg, x + 14, 37, "start", activity.label);
      x += 34 + activity.label.length() * 6.0;
    }
  }

  private void axis(final XMLStreamWriter svg, final int bottom) throws XMLStreamException {
    final double millis = end() / 1e6;
    final double step = step(millis);
    for (double at = 0; at <= millis; at += step) {
      final double x = LABEL + at * 1e6 * pixelsPerNano;
      rectangle(svg, x, TOP - 4, 1, bottom - TOP + 4.0, GRID);
      text(svg, x, TOP - 8, "middle", format(at) + (at == 0 ? " ms" : ""));
    }
  }

  /** A step of 1, 2 or 5 times a power of ten that gives about ten lines. */
  private static double step(final double millis) {
    final double power = Math.pow(10, Math.floor(Math.log10(Math.max(1e-3, millis / 10))));
    final double ratio = millis / 10 / power;
    return power * (ratio <= 1 ? 1 : ratio <= 2 ? 2 : ratio <= 5 ? 5 : 10);
  }

  private void row(final XMLStreamWriter svg, final Row row, final int y)
      throws XMLStreamException {
    text(svg, LABEL - 8, y + BAR - 2, "end", shortened(row.name()));
    for (final Span span : joined(row.spans())) {
      final double x = LABEL + span.start() * pixelsPerNano;
      final double length = (span.end() - span.start()) * pixelsPerNano;
      // A hairline between neighbours shows where one iteration ends and the next begins.
      rectangle(
          svg, x, y, length > 3 ? length - 0.5 : Math.max(length, 0.2), BAR, span.activity.colour);
    }
  }

  private List<Span> joined(final List<Span> spans) {
    final List<Span> joined = new ArrayList<>();
    for (final Span span : spans) {
      final Span last = joined.isEmpty() ? null : joined.getLast();
      if (last != null
          && last.activity() == span.activity()
          && (span.start() - last.end()) * pixelsPerNano < JOIN_PIXELS
          && (span.end() - span.start()) * pixelsPerNano < 2 * JOIN_PIXELS) {
        joined.set(joined.size() - 1, new Span(last.activity(), last.start(), span.end()));
      } else {
        joined.add(span);
      }
    }
    return joined;
  }

  private void kvUse(final XMLStreamWriter svg, final int top) throws XMLStreamException {
    text(svg, LABEL - 8, top + KV_HEIGHT / 2 + 4, "end", "KV blocks in use");
    final StringBuilder points = new StringBuilder();
    int most = 0;
    for (final Iteration iteration : trace.iterations()) {
      final double x = LABEL + (iteration.end() - origin) * pixelsPerNano;
      final double share = iteration.usedBlocks() / (double) iteration.totalBlocks();
      points.append("%s,%s ".formatted(format(x), format(top + KV_HEIGHT * (1 - share))));
      most = Math.max(most, iteration.usedBlocks());
    }
    rectangle(svg, LABEL, top, width, 1, GRID);
    rectangle(svg, LABEL, top + KV_HEIGHT, width, 1, GRID);
    svg.writeEmptyElement("polyline");
    svg.writeAttribute("points", points.toString().strip());
    svg.writeAttribute("fill", "none");
    svg.writeAttribute("stroke", INK);
    text(
        svg,
        LABEL + width,
        top - 4,
        "end",
        "at most %d of %d".formatted(most, trace.iterations().getFirst().totalBlocks()));
  }

  private static String shortened(final String name) {
    return name.length() <= 22 ? name : name.substring(0, 21) + "…";
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
    svg.writeAttribute("x", format(x));
    svg.writeAttribute("y", format(y));
    svg.writeAttribute("width", format(width));
    svg.writeAttribute("height", format(height));
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
    svg.writeAttribute("x", format(x));
    svg.writeAttribute("y", format(y));
    svg.writeAttribute("text-anchor", anchor);
    svg.writeAttribute("fill", INK);
    svg.writeCharacters(content);
    svg.writeEndElement();
  }

  private static String format(final double value) {
    return value == Math.rint(value)
        ? Long.toString((long) value)
        : String.format(Locale.ROOT, "%.2f", value);
  }
}
