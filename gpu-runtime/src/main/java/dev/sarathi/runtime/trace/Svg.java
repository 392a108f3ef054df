package dev.sarathi.runtime.trace;

import java.io.Writer;
import java.util.List;
import java.util.Locale;
import javax.xml.stream.XMLOutputFactory;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamWriter;

/**
 * A picture under construction: rectangles, text and lines on white, in pixels from the upper left.
 *
 * <p>Threading: one thread at a time.
 */
public final class Svg {
  private static final String INK = "#222222";
  private static final int LEGEND_TOP = 28;
  private static final int SWATCH = 10;

  private final XMLStreamWriter xml;

  /** An entry of a legend. */
  public record Entry(String label, String colour) {}

  /** Begins a picture; the writer is not closed with it. */
  public Svg(final Writer to, final int width, final int height) throws XMLStreamException {
    xml = XMLOutputFactory.newInstance().createXMLStreamWriter(to);
    xml.writeStartDocument();
    xml.writeStartElement("svg");
    xml.writeDefaultNamespace("http://www.w3.org/2000/svg");
    xml.writeAttribute("width", Integer.toString(width));
    xml.writeAttribute("height", Integer.toString(height));
    xml.writeAttribute("font-family", "Helvetica, Arial, sans-serif");
    xml.writeAttribute("font-size", "11");
    rectangle(0, 0, width, height, "#ffffff");
  }

  /** Writes a title, and below it what the colours mean. */
  public void head(final int left, final String title, final List<Entry> legend)
      throws XMLStreamException {
    text(left, 18, "start", title);
    double x = left;
    for (final Entry entry : legend) {
      rectangle(x, LEGEND_TOP, SWATCH, SWATCH, entry.colour);
      text(x + SWATCH + 4, LEGEND_TOP + SWATCH - 1, "start", entry.label);
      x += 34 + entry.label.length() * 6.0;
    }
  }

  public void rectangle(
      final double x, final double y, final double width, final double height, final String colour)
      throws XMLStreamException {
    xml.writeEmptyElement("rect");
    xml.writeAttribute("x", number(x));
    xml.writeAttribute("y", number(y));
    xml.writeAttribute("width", number(width));
    xml.writeAttribute("height", number(height));
    xml.writeAttribute("fill", colour);
  }

  /**
   * @param anchor which part of the text is at x: {@code start}, {@code middle} or {@code end}
   */
  public void text(final double x, final double y, final String anchor, final String content)
      throws XMLStreamException {
    xml.writeStartElement("text");
    xml.writeAttribute("x", number(x));
    xml.writeAttribute("y", number(y));
    xml.writeAttribute("text-anchor", anchor);
    xml.writeAttribute("fill", INK);
    xml.writeCharacters(content);
    xml.writeEndElement();
  }

  /** A line through points, each an x and a y. */
  public void line(final List<double[]> points, final String colour) throws XMLStreamException {
    final StringBuilder path = new StringBuilder();
    points.forEach(p -> path.append(number(p[0])).append(',').append(number(p[1])).append(' '));
    xml.writeEmptyElement("polyline");
    xml.writeAttribute("points", path.toString().strip());
    xml.writeAttribute("fill", "none");
    xml.writeAttribute("stroke", colour);
  }

  /** A line in the colour of the text. */
  public void line(final List<double[]> points) throws XMLStreamException {
    line(points, INK);
  }

  /** Ends the picture. */
  public void end() throws XMLStreamException {
    xml.writeEndElement();
    xml.writeEndDocument();
    xml.flush();
  }

  private static String number(final double value) {
    return value == Math.rint(value)
        ? Long.toString((long) value)
        : String.format(Locale.ROOT, "%.2f", value);
  }
}
