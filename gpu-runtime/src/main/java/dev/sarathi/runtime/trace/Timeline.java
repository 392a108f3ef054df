package dev.sarathi.runtime.trace;

import dev.sarathi.runtime.Iteration;
import java.io.Writer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import javax.xml.stream.XMLStreamException;

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
    final int kvTop = TOP + rows.size() * ROW + MARGIN;
    final Svg svg = new Svg(to, LABEL + width + 2 * MARGIN, kvTop + KV_HEIGHT + MARGIN);
    svg.head(
        MARGIN,
        "%s, %s, token budget %s: %d sequences, %d iterations, %.0f ms"
            .formatted(
                trace.header().model(),
                trace.header().policy(),
                trace.header().tokenBudget(),
                rows.size(),
                trace.iterations().size(),
                end() / 1e6),
        Arrays.stream(Activity.values())
            .map(activity -> new Svg.Entry(activity.label, activity.colour))
            .toList());
    axis(svg, kvTop + KV_HEIGHT);
    for (int i = 0; i < rows.size(); i++) {
      row(svg, rows.get(i), TOP + i * ROW);
    }
    kvUse(svg, kvTop);
    svg.end();
  }

  private void axis(final Svg svg, final int bottom) throws XMLStreamException {
    final double millis = end() / 1e6;
    final double step = step(millis);
    for (double at = 0; at <= millis; at += step) {
      final double x = LABEL + at * 1e6 * pixelsPerNano;
      svg.rectangle(x, TOP - 4, 1, bottom - TOP + 4.0, GRID);
      svg.text(x, TOP - 8, "middle", format(at) + (at == 0 ? " ms" : ""));
    }
  }

  /** A step of 1, 2 or 5 times a power of ten that gives about ten lines. */
  private static double step(final double millis) {
    final double power = Math.pow(10, Math.floor(Math.log10(Math.max(1e-3, millis / 10))));
    final double ratio = millis / 10 / power;
    return power * (ratio <= 1 ? 1 : ratio <= 2 ? 2 : ratio <= 5 ? 5 : 10);
  }

  private void row(final Svg svg, final Row row, final int y) throws XMLStreamException {
    svg.text(LABEL - 8, y + BAR - 2, "end", shortened(row.name()));
    for (final Span span : joined(row.spans())) {
      final double x = LABEL + span.start() * pixelsPerNano;
      final double length = (span.end() - span.start()) * pixelsPerNano;
      // A hairline between neighbours shows where one iteration ends and the next begins.
      svg.rectangle(
          x, y, length > 3 ? length - 0.5 : Math.max(length, 0.2), BAR, span.activity.colour);
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

  private void kvUse(final Svg svg, final int top) throws XMLStreamException {
    svg.text(LABEL - 8, top + KV_HEIGHT / 2 + 4, "end", "KV blocks in use");
    svg.rectangle(LABEL, top, width, 1, GRID);
    svg.rectangle(LABEL, top + KV_HEIGHT, width, 1, GRID);
    final List<double[]> points = new ArrayList<>();
    int most = 0;
    for (final Iteration iteration : trace.iterations()) {
      final double x = LABEL + (iteration.end() - origin) * pixelsPerNano;
      final double share = iteration.usedBlocks() / (double) iteration.totalBlocks();
      points.add(new double[] {x, top + KV_HEIGHT * (1 - share)});
      most = Math.max(most, iteration.usedBlocks());
    }
    svg.line(points);
    svg.text(
        LABEL + width,
        top - 4,
        "end",
        "at most %d of %d".formatted(most, trace.iterations().getFirst().totalBlocks()));
  }

  private static String shortened(final String name) {
    return name.length() <= 22 ? name : name.substring(0, 21) + "…";
  }

  private static String format(final double value) {
    return value == Math.rint(value)
        ? Long.toString((long) value)
        : String.format(Locale.ROOT, "%.2f", value);
  }
}
