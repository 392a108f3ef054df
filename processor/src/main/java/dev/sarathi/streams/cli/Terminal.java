package dev.sarathi.streams.cli;

import java.io.Console;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.OptionalInt;

/** The size of the terminal that this process writes to, in characters. */
record Terminal(int columns, int rows) {

  private static final Terminal USUAL = new Terminal(80, 24);

  /** The terminal, if there is one that can be drawn on. */
  static Optional<Terminal> attached() {
    final Console console = System.console();
    if (console == null || !console.isTerminal() || "dumb".equals(System.getenv("TERM"))) {
      return Optional.empty();
    }
    final Terminal told = asked().orElse(USUAL);
    return Optional.of(
        new Terminal(
            environment("COLUMNS").orElse(told.columns()),
            environment("LINES").orElse(told.rows())));
  }

  private static Optional<Terminal> asked() {
    try {
      final Process stty =
          new ProcessBuilder("stty", "size").redirectInput(ProcessBuilder.Redirect.INHERIT).start();
      final String answer =
          new String(stty.getInputStream().readAllBytes(), StandardCharsets.US_ASCII);
      final String[] size = answer.trim().split(" ");
      final Terminal terminal = new Terminal(Integer.parseInt(size[1]), Integer.parseInt(size[0]));
      // Some pseudo-terminals were never told, and say 0.
      return Optional.of(terminal).filter(told -> told.columns() > 0 && told.rows() > 0);
    } catch (IOException | RuntimeException e) {
      return Optional.empty();
    }
  }

  private static OptionalInt environment(final String name) {
    final String value = System.getenv(name);
    return value != null && value.matches("[1-9]\\d{0,3}")
        ? OptionalInt.of(Integer.parseInt(value))
        : OptionalInt.empty();
  }
}
