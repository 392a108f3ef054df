package dev.sarathi.runtime.trace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.Iteration;
import dev.sarathi.runtime.Iteration.Part;
import dev.sarathi.runtime.trace.Timeline.Activity;
import dev.sarathi.runtime.trace.Timeline.Row;
import dev.sarathi.runtime.trace.Timeline.Span;
import java.io.IOException;
import java.io.StringReader;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Document;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;

class TimelineTest {
  private static final EngineConfig CONFIG =
      EngineConfig.of(Path.of("models/storyteller")).withPolicy("mixed");
  private static final TraceHeader HEADER = TraceHeader.of(CONFIG);

  @TempDir private Path folder;

  @Test
  void shouldShowAStallWhereARunningSequenceIsLeftOut() {
    // given a decode that waits for a whole prompt
    final Trace trace =
        trace(
            iteration(0, 0, 10, prefill(1, "a", 0, 20)),
            iteration(1, 10, 12, decode(1, "a", 20)),
            iteration(2, 12, 40, prefill(2, "b", 0, 300)),
            iteration(3, 41, 43, decode(1, "a", 21), decode(2, "b", 300)));

    // when, then
    assertThat(Timeline.rows(trace))
        .containsExactly(
            new Row(
                "a",
                List.of(
                    new Span(Activity.PREFILL, 0, 10),
                    new Span(Activity.DECODE, 10, 12),
                    new Span(Activity.STALL, 12, 41),
                    new Span(Activity.DECODE, 41, 43))),
            new Row(
                "b",
                List.of(new Span(Activity.PREFILL, 12, 40), new Span(Activity.DECODE, 41, 43))));
  }

  @Test
  void shouldTellAPreemptionFromAStall() {
    final Trace trace =
        trace(
            iteration(0, 100, 110, prefill(1, "a", 0, 20)),
            new Iteration(
                1,
                110,
                112,
                List.of(decode(2, "b", 5)),
                List.of(1L),
                List.of(),
                1,
                1,
                3,
                0,
                10,
                1,
                0,
                512,
                List.of()),
            iteration(2, 112, 120, prefill(1, "a", 0, 21)));

    assertThat(Timeline.rows(trace).getFirst().spans())
        .containsExactly(
            new Span(Activity.PREFILL, 0, 10),
            new Span(Activity.PREEMPTED, 10, 12),
            new Span(Activity.PREFILL, 12, 20));
  }

  @Test
  void shouldDrawASpanOfEveryRowInItsColour() throws Exception {
    // given
    final Trace trace =
        trace(
            iteration(0, 0, 1_000_000, prefill(1, "a <&> b", 0, 20)),
            iteration(1, 1_000_000, 2_000_000, prefill(2, "c", 0, 20)),
            iteration(2, 2_000_000, 3_000_000, decode(1, "a <&> b", 20), decode(2, "c", 20)));

    // when
    final StringWriter svg = new StringWriter();
    new Timeline(trace, 300).write(svg);

    // then
    final Document document =
        DocumentBuilderFactory.newInstance()
            .newDocumentBuilder()
            .parse(new InputSource(new StringReader(svg.toString())));
    final NodeList rectangles = document.getElementsByTagName("rect");
    int prefills = 0;
    int stalls = 0;
    for (int i = 0; i < rectangles.getLength(); i++) {
      final var attributes = rectangles.item(i).getAttributes();
      final String colour = attributes.getNamedItem("fill").getNodeValue();
      // Those of the legend are squares of ten.
      if (!attributes.getNamedItem("width").getNodeValue().equals("10")) {
        prefills += colour.equals("#f2a33a") ? 1 : 0;
        stalls += colour.equals("#d6473f") ? 1 : 0;
      }
    }
    assertThat(prefills).isEqualTo(2);
    assertThat(stalls).isEqualTo(1);
    assertThat(document.getDocumentElement().getTextContent()).contains("a <&> b", "mixed");
  }

  @Test
  void shouldReadWhatWasWritten() throws Exception {
    // given
    final Trace trace =
        trace(
            iteration(0, 0, 10, prefill(1, "a", 0, 20)), iteration(1, 10, 12, decode(1, "a", 20)));
    final Path file = folder.resolve("trace.jsonl");

    // when
    final TraceWriter writer = TraceWriter.create(file, CONFIG);
    trace.iterations().forEach(writer::onIteration);
    writer.close();
    writer.onIteration(iteration(2, 12, 14));

    // then
    assertThat(Trace.read(file)).isEqualTo(trace);
    assertThat(Files.readAllLines(file).get(1))
        .contains("\"used_blocks\":3")
        .contains("\"parts\":[{\"sequence\":1,\"request\":\"a\"");
  }

  @Test
  void shouldKeepWhatLiesBetweenTwoTimes() {
    final long milli = 1_000_000;
    final Trace trace =
        trace(
            iteration(0, 5 * milli, 6 * milli),
            iteration(1, 8 * milli, 9 * milli),
            iteration(2, 10 * milli, 12 * milli));

    assertThat(trace.between(Duration.ofMillis(2), Duration.ofMillis(4)).iterations())
        .extracting(Iteration::id)
        .containsExactly(1L);
  }

  @Test
  void shouldDoWithoutALastLineThatWasCutOff() throws IOException {
    final Path file = folder.resolve("trace.jsonl");
    try (TraceWriter writer = TraceWriter.create(file, CONFIG)) {
      writer.onIteration(iteration(0, 0, 10));
      writer.onIteration(iteration(1, 10, 12));
    }
    final String whole = Files.readString(file);
    Files.writeString(file, whole.substring(0, whole.length() - 20));

    assertThat(Trace.read(file).iterations()).hasSize(1);
  }

  @Test
  void shouldNameTheLineThatIsNoPartOfATrace() throws IOException {
    final Path file = folder.resolve("other.jsonl");
    Files.writeString(file, "{\"prompt\":\"Once\"}\n");

    assertThatThrownBy(() -> Trace.read(file))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("other.jsonl: line 1 is no line of a trace");
    assertThatThrownBy(() -> new Timeline(trace(), 100))
        .hasMessage("the trace has no iterations; there is nothing to draw");
  }

  private static Trace trace(final Iteration... iterations) {
    return new Trace(HEADER, List.of(iterations));
  }

  private static Iteration iteration(
      final long id, final long start, final long end, final Part... parts) {
    return new Iteration(
        id, start, end, List.of(parts), List.of(), List.of(), 0, 2, 3, 0, 10, 0, 0, 512, List.of());
  }

  private static Part prefill(
      final long sequence, final String request, final int start, final int tokens) {
    return new Part(sequence, request, 0, true, start, tokens);
  }

  private static Part decode(final long sequence, final String request, final int start) {
    return new Part(sequence, request, 0, false, start, 1);
  }
}
