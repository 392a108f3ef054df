package dev.sarathi.streams.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sarathi.schemas.TokenRecord;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Shows token records as they come. Not thread-safe: the consumer's thread owns it. */
sealed interface TokenView {

  void show(TokenRecord record);

  /** Called after each batch of records; until then nothing need be visible. */
  void refresh();

  /** One JSON object for each record. */
  record Json(PrintWriter out) implements TokenView {
    @Override
    public void show(final TokenRecord record) {
      final ObjectNode json = RecordJson.of(record);
      out.println(json);
    }

    @Override
    public void refresh() {
      out.flush();
    }
  }

  /** Whole lines of text, each with its request: for files and pipes. */
  final class Lines implements TokenView {

    private final PrintWriter out;
    private final Map<String, FollowedGeneration> open = new LinkedHashMap<>();

    Lines(final PrintWriter out) {
      this.out = out;
    }

    @Override
    public void show(final TokenRecord record) {
      final FollowedGeneration generation =
          open.computeIfAbsent(
              FollowedGeneration.name(record), _ -> new FollowedGeneration(record));
      generation.add(record);
      for (String line = generation.takeLine(); !line.isEmpty(); line = generation.takeLine()) {
        out.print(generation.name() + " | " + line);
      }
      if (record.getFinishReason().isPresent()) {
        if (!generation.text().isEmpty()) {
          out.println(generation.name() + " | " + generation.text());
        }
        out.println(generation.name() + " = " + FollowedGeneration.ending(record));
        open.remove(generation.name());
      }
    }

    @Override
    public void refresh() {
      out.flush();
    }
  }

  /**
   * For terminals: one line for each running generation, redrawn in place with the end of its text;
   * above them, in full, those that have finished.
   */
  final class Live implements TokenView {

    private static final String BOLD = "\u001b[1m";
    private static final String FAINT = "\u001b[2m";
    private static final String PLAIN = "\u001b[0m";
    // Rows are cut to fit by counting characters, of which some are two columns wide.
    private static final String NO_WRAP = "\u001b[?7l";
    private static final String WRAP = "\u001b[?7h";
    private static final String CLEAR_BELOW = "\u001b[J";
    private static final int NAME_WIDTH = 12;

    private final PrintWriter out;
    private final int columns;
    private final int rows;
    private final Map<String, FollowedGeneration> running = new LinkedHashMap<>();
    private final List<String> finished = new ArrayList<>();
    private int drawn;

    Live(final PrintWriter out, final int columns, final int rows) {
      this.out = out;
      this.columns = columns;
      this.rows = rows;
    }

    @Override
    public void show(final TokenRecord record) {
      final FollowedGeneration generation =
          running.computeIfAbsent(
              FollowedGeneration.name(record), _ -> new FollowedGeneration(record));
      generation.add(record);
      if (record.getFinishReason().isPresent()) {
        finished.add(BOLD + generation.name() + PLAIN);
        finished.add(printable(generation.text(), true));
        finished.add(FAINT + FollowedGeneration.ending(record) + PLAIN);
        finished.add("");
        running.remove(generation.name());
      }
    }

    @Override
    public void refresh() {
      if (drawn > 0) {
        out.print("\u001b[" + drawn + "F");
      }
      out.print(CLEAR_BELOW);
      finished.forEach(out::println);
      finished.clear();
      // One row less than the terminal has: a full one would scroll, and then be drawn twice.
      final int room = Math.max(1, rows - 2);
      drawn = Math.min(running.size(), room);
      out.print(NO_WRAP);
      running.values().stream().limit(room).forEach(generation -> out.println(row(generation)));
      if (running.size() > room) {
        out.println(FAINT + (running.size() - room) + " more" + PLAIN);
        drawn++;
      }
      out.print(WRAP);
      out.flush();
    }

    private String row(final FollowedGeneration generation) {
      final String name = generation.name();
      final String shortName =
          name.length() <= NAME_WIDTH ? name : name.substring(0, NAME_WIDTH - 1) + "…";
      final String text = printable(generation.text(), false);
      final int room = Math.max(1, columns - NAME_WIDTH - 2);
      final String end = text.length() <= room ? text : text.substring(text.length() - room);
      return BOLD + ("%-" + NAME_WIDTH + "s ").formatted(shortName) + PLAIN + end;
    }

    // Generated text may hold escape sequences, which must not reach the terminal as such.
    private static String printable(final String text, final boolean lines) {
      final StringBuilder printable = new StringBuilder(text.length());
      text.chars()
          .forEach(
              c -> {
                if (c == '\n') {
                  printable.append(lines ? "\n" : "⏎");
                } else {
                  printable.append(Character.isISOControl(c) ? ' ' : (char) c);
                }
              });
      return printable.toString();
    }
  }
}
