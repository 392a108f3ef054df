package dev.sarathi.runtime.text;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

/** Stop strings, a 0 between any two, and last the text, pushed at once and in characters. */
public final class StopStringsFuzz {
  private StopStringsFuzz() {}

  public static void fuzzerTestOneInput(final byte[] input) {
    final List<String> parts =
        Arrays.asList(new String(input, StandardCharsets.ISO_8859_1).split("\0", -1));
    final String text = parts.getLast();
    final List<String> stops = parts.subList(0, parts.size() - 1);
    if (stops.contains("")) {
      return;
    }
    final int end =
        stops.stream().mapToInt(text::indexOf).filter(at -> at >= 0).min().orElse(text.length());

    final StopStrings whole = new StopStrings(stops);
    check(whole.push(text) + whole.finish(), text.substring(0, end));
    final StopStrings single = new StopStrings(stops);
    final StringBuilder given = new StringBuilder();
    text.chars().forEach(character -> given.append(single.push(Character.toString(character))));
    check(given + single.finish(), text.substring(0, end));
    check(single.matched().orElse("none"), whole.matched().orElse("none"));
  }

  private static void check(final String actual, final String expected) {
    if (!actual.equals(expected)) {
      throw new AssertionError("\"" + actual + "\" instead of \"" + expected + "\"");
    }
  }
}
