package dev.sarathi.runtime.text.jinja;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntPredicate;

/** Python's notions of text where Java's differ: characters are code points, blanks are others. */
final class Text {
  private Text() {}

  static boolean isSpace(final int character) {
    return switch (character) {
      case 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000 -> true;
      default ->
          character >= 9 && character <= 13
              || character >= 28 && character <= 32
              || character >= 0x2000 && character <= 0x200A;
    };
  }

  static long length(final String text) {
    return text.codePointCount(0, text.length());
  }

  static String strip(final String text) {
    return stripStart(stripEnd(text));
  }

  static String stripStart(final String text) {
    return stripStart(text, Text::isSpace);
  }

  static String stripEnd(final String text) {
    return stripEnd(text, Text::isSpace);
  }

  static String stripStart(final String text, final IntPredicate of) {
    int start = 0;
    while (start < text.length() && of.test(text.codePointAt(start))) {
      start += Character.charCount(text.codePointAt(start));
    }
    return text.substring(start);
  }

  static String stripEnd(final String text, final IntPredicate of) {
    int end = text.length();
    while (end > 0 && of.test(text.codePointBefore(end))) {
      end -= Character.charCount(text.codePointBefore(end));
    }
    return text.substring(0, end);
  }

  /** At most {@code limit} cuts, from the left; all if negative. */
  static List<Object> split(final String text, final String separator, final long limit) {
    final List<Object> parts = new ArrayList<>();
    int from = 0;
    for (long cuts = 0; limit < 0 || cuts < limit; cuts++) {
      final int at = text.indexOf(separator, from);
      if (at < 0) {
        break;
      }
      parts.add(text.substring(from, at));
      from = at + separator.length();
    }
    parts.add(text.substring(from));
    return parts;
  }

  static List<Object> splitAtEnd(final String text, final String separator, final long limit) {
    final List<Object> parts = new ArrayList<>();
    int to = text.length();
    for (long cuts = 0; limit < 0 || cuts < limit; cuts++) {
      final int at = text.lastIndexOf(separator, to - separator.length());
      if (at < 0) {
        break;
      }
      parts.add(text.substring(at + separator.length(), to));
      to = at;
    }
    parts.add(text.substring(0, to));
    return parts.reversed();
  }

  /** The words between blanks; the last takes the rest where there are more than the limit. */
  static List<Object> splitAtSpaces(final String text, final long limit) {
    final List<Object> words = new ArrayList<>();
    int from = skip(text, 0, true);
    while (from < text.length()) {
      final boolean rest = limit >= 0 && words.size() >= limit;
      final int to = rest ? text.length() : skip(text, from, false);
      words.add(text.substring(from, to));
      from = skip(text, to, true);
    }
    return words;
  }

  private static int skip(final String text, final int from, final boolean spaces) {
    int at = from;
    while (at < text.length() && isSpace(text.charAt(at)) == spaces) {
      at++;
    }
    return at;
  }

  /** How often a part is there, without overlap. */
  static int count(final String text, final String part) {
    int count = 0;
    for (int at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length())) {
      count++;
    }
    return count;
  }

  /** In the order of code points, which differs from that of Java's characters. */
  static int compare(final String left, final String right) {
    return Arrays.compare(left.codePoints().toArray(), right.codePoints().toArray());
  }
}
