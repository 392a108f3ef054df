package dev.sarathi.streams.cli;

import java.lang.Character.UnicodeScript;
import java.util.ArrayList;
import java.util.List;

/** Text measured in the columns of a terminal, of which a character takes none, one or two. */
final class TerminalText {
  private TerminalText() {}

  /** Without control characters: generated text may hold escape sequences; lines become spaces. */
  static String printable(final String text) {
    final StringBuilder printable = new StringBuilder(text.length());
    text.chars().forEach(c -> printable.append(Character.isISOControl(c) ? ' ' : (char) c));
    return printable.toString();
  }

  static int width(final String text) {
    return text.codePoints().map(TerminalText::width).sum();
  }

  /** The longest beginning that fits. */
  static String head(final String text, final int columns) {
    int width = 0;
    int end = 0;
    while (end < text.length()) {
      final int character = text.codePointAt(end);
      width += width(character);
      if (width > columns) {
        break;
      }
      end += Character.charCount(character);
    }
    return text.substring(0, end);
  }

  /** The longest end that fits. */
  static String tail(final String text, final int columns) {
    int width = 0;
    int start = text.length();
    while (start > 0) {
      final int character = text.codePointBefore(start);
      width += width(character);
      if (width > columns) {
        break;
      }
      start -= Character.charCount(character);
    }
    return text.substring(start);
  }

  /** Exactly so wide: the beginning, with an ellipsis if that is not all, or with spaces. */
  static String fit(final String text, final int columns) {
    final String fitting =
        width(text) <= columns ? text : head(text, Math.max(0, columns - 1)) + "…";
    return fitting + " ".repeat(Math.max(0, columns - width(fitting)));
  }

  /**
   * Breaks text between words, and within those that are wider than a line.
   *
   * @param columns at least 2, or a wide character would fit nowhere
   */
  static List<String> wrap(final String text, final int columns) {
    final List<String> lines = new ArrayList<>();
    final StringBuilder line = new StringBuilder();
    for (String word : text.strip().split("\\s+")) {
      if (!line.isEmpty() && width(line.toString()) + 1 + width(word) > columns) {
        lines.add(line.toString());
        line.setLength(0);
      }
      String rest = word;
      while (width(rest) > columns) {
        final String piece = head(rest, columns);
        lines.add(piece);
        rest = rest.substring(piece.length());
      }
      line.append(line.isEmpty() ? "" : " ").append(rest);
    }
    lines.add(line.toString());
    return lines;
  }

  private static int width(final int character) {
    return switch (Character.getType(character)) {
      case Character.NON_SPACING_MARK, Character.ENCLOSING_MARK, Character.FORMAT -> 0;
      default -> isWide(character) ? 2 : 1;
    };
  }

  private static boolean isWide(final int character) {
    if (character < 0x1100) {
      return false;
    }
    final boolean fullWidth =
        character >= 0x3000 && character <= 0x303e
            || character >= 0xff01 && character <= 0xff60
            || character >= 0xffe0 && character <= 0xffe6;
    return fullWidth
        || Character.isEmojiPresentation(character)
        || switch (UnicodeScript.of(character)) {
          case HAN, HIRAGANA, KATAKANA, HANGUL, BOPOMOFO, YI -> true;
          default -> false;
        };
  }
}
