package dev.sarathi.streams.cli;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Shows stories as they grow. */
sealed interface StoryView extends AutoCloseable {

  /** Says what is going on before the stories begin. */
  void announce(String what);

  /**
   * Shows how far the stories are.
   *
   * @param stories the last one is the one with the long prompt
   * @param elapsed nanoseconds since the first was sent
   */
  void refresh(List<Story> stories, long elapsed);

  /** Leaves the terminal as it was. May be called by any thread, and again. */
  @Override
  void close();

  /** A line for each thing that happens: for files and pipes. One thread owns it. */
  final class Lines implements StoryView {
    private static final int EXCERPT = 240;

    private final PrintWriter out;
    private final Map<String, Story.State> shown = new HashMap<>();

    Lines(final PrintWriter out) {
      this.out = out;
    }

    @Override
    public void announce(final String what) {
      out.println(what);
      out.flush();
    }

    @Override
    public void refresh(final List<Story> stories, final long elapsed) {
      for (Story story : stories) {
        final Story.State before = shown.getOrDefault(story.name(), Story.State.WAITING);
        final Story.State now = story.state();
        if (before == now) {
          continue;
        }
        if (before == Story.State.WAITING && story == stories.getLast()) {
          event(elapsed, story, "arrives: a prompt of %,d tokens", story.promptTokens());
        }
        if (before.compareTo(Story.State.DECODING) < 0 && now != Story.State.PREFILL) {
          event(elapsed, story, "begins");
        }
        if (now == Story.State.DONE) {
          event(elapsed, story, "ends, %,d tokens: %s", story.tokens(), excerpt(story));
        }
        shown.put(story.name(), now);
      }
      out.flush();
    }

    private void event(
        final long elapsed, final Story story, final String what, final Object... arguments) {
      out.printf(Locale.ROOT, "%6.2f s  %-8s ", elapsed / 1e9, story.name());
      out.printf(Locale.ROOT, what + "%n", arguments);
    }

    private static String excerpt(final Story story) {
      final String text = TerminalText.printable(story.excerpt());
      return text.length() <= EXCERPT ? text : text.substring(0, EXCERPT) + "…";
    }

    @Override
    public void close() {
      out.flush();
    }
  }

  /**
   * For terminals: every story in a row of its own, on the alternate screen, so that what was on
   * the terminal before comes back.
   */
  final class Screen implements StoryView {
    private static final String ESCAPE = "\u001b[";
    private static final String OPEN = ESCAPE + "?1049h" + ESCAPE + "?25l" + ESCAPE + "?7l";
    private static final String CLOSE = ESCAPE + "?7h" + ESCAPE + "?25h" + ESCAPE + "?1049l";
    private static final String HOME = ESCAPE + "H";
    private static final String CLEAR_LINE = ESCAPE + "K";
    private static final String CLEAR_BELOW = ESCAPE + "J";
    private static final String PLAIN = ESCAPE + "0m";
    private static final String BOLD = ESCAPE + "1m";
    private static final Map<Story.State, String> COLOURS =
        new EnumMap<>(
            Map.of(
                Story.State.WAITING, ESCAPE + "2m",
                Story.State.PREFILL, ESCAPE + "33m",
                Story.State.DECODING, ESCAPE + "32m",
                Story.State.DONE, ESCAPE + "2m"));

    private static final long FRAME_NANOS = 1_000_000_000L / 15;
    private static final int HEADING_ROWS = 3;
    private static final int NAME_COLUMNS = 8;
    private static final int STATE_COLUMNS = 8;
    private static final int MARGIN = NAME_COLUMNS + 1 + STATE_COLUMNS + 1 + 5 + 2;
    private static final int MIN_TEXT_COLUMNS = 8;

    private final PrintWriter out;
    private final Terminal terminal;
    private boolean open;
    private boolean closed;
    private long nextFrame;

    Screen(final PrintWriter out, final Terminal terminal) {
      this.out = out;
      this.terminal = terminal;
    }

    @Override
    public void announce(final String what) {
      out.println(what);
      out.flush();
    }

    @Override
    public synchronized void refresh(final List<Story> stories, final long elapsed) {
      final boolean due =
          elapsed >= nextFrame || stories.stream().allMatch(s -> s.state() == Story.State.DONE);
      if (closed || !due) {
        return;
      }
      nextFrame = elapsed + FRAME_NANOS;
      final StringBuilder frame = new StringBuilder(open ? HOME : OPEN + HOME);
      open = true;
      // No line break after the last line, or a full screen would scroll.
      frame.append(String.join(CLEAR_LINE + "\r\n", lines(stories, elapsed)));
      out.print(frame.append(CLEAR_LINE + CLEAR_BELOW));
      out.flush();
    }

    @Override
    public synchronized void close() {
      closed = true;
      if (open) {
        open = false;
        out.print(CLOSE);
        out.flush();
      }
    }

    /** What fills the terminal: at most so many lines as it has rows, none wider than it. */
    List<String> lines(final List<Story> stories, final long elapsed) {
      final List<String> lines = new ArrayList<>(heading(stories, elapsed));
      final int room = Math.max(1, terminal.rows() - HEADING_ROWS);
      final int rowsEach = Math.max(1, room / stories.size());
      // Where not all fit, the one with the long prompt, the last, is worth seeing most.
      for (Story story : stories.subList(Math.max(0, stories.size() - room), stories.size())) {
        lines.addAll(rows(story, rowsEach));
      }
      return lines.subList(0, Math.min(lines.size(), terminal.rows()));
    }

    private List<String> heading(final List<Story> stories, final long elapsed) {
      final int tokens = stories.stream().mapToInt(Story::tokens).sum();
      final Story last = stories.getLast();
      final String event =
          switch (last.state()) {
            case WAITING -> "Soon a prompt of %,d tokens will arrive.";
            case PREFILL ->
                "A prompt of %,d tokens is here: it goes in by chunks, beside the others.";
            case DECODING, DONE ->
                "The prompt of %,d tokens is in; its answer grows with the others.";
          };
      return List.of(
          BOLD
              + fit(
                  "Sarathi Streams: %d stories, %,d tokens, %.1f s",
                  stories.size(), tokens, elapsed / 1e9)
              + PLAIN,
          fit(event, last.promptTokens()),
          "");
    }

    private String fit(final String format, final Object... arguments) {
      return TerminalText.fit(String.format(Locale.ROOT, format, arguments), terminal.columns());
    }

    private List<String> rows(final Story story, final int count) {
      final String label =
          "%s %s %5d  "
              .formatted(
                  TerminalText.fit(story.name(), NAME_COLUMNS),
                  TerminalText.fit(story.state().name().toLowerCase(Locale.ROOT), STATE_COLUMNS),
                  story.tokens());
      final int columns = terminal.columns() - MARGIN;
      if (columns < MIN_TEXT_COLUMNS) {
        return List.of(TerminalText.fit(label, terminal.columns()));
      }
      final List<String> text = text(story, columns, count);
      final List<String> rows = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        final String margin =
            i == 0 ? COLOURS.get(story.state()) + label + PLAIN : " ".repeat(MARGIN);
        rows.add(margin + (i < text.size() ? text.get(i) : ""));
      }
      return rows;
    }

    private static List<String> text(final Story story, final int columns, final int rows) {
      final String text = TerminalText.printable(story.text());
      if (rows == 1) {
        return List.of(TerminalText.tail(text, columns));
      }
      final List<String> lines = TerminalText.wrap(text, columns);
      return lines.subList(Math.max(0, lines.size() - rows), lines.size());
    }
  }
}
