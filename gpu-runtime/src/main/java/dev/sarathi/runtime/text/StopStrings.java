package dev.sarathi.runtime.text;

import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * Ends a text at the first stop string in it. Of the text pushed, the longest suffix that may still
 * become a stop string is held back, so no part of one is ever given out.
 *
 * <p>The stop string that begins first counts; of those that begin at one place, the longest. So a
 * match is reported when no later text can make another one count. How the text is cut into pushes
 * makes no difference.
 *
 * <p>Not for use by several threads at once.
 */
public final class StopStrings {
  private final List<String> stops;
  private String held = "";
  private String matched;

  /**
   * Begins a text.
   *
   * @param stops the stop strings; none lets all text through
   * @throws IllegalArgumentException when one of them is empty
   */
  public StopStrings(final Collection<String> stops) {
    this.stops = List.copyOf(stops);
    if (this.stops.contains("")) {
      throw new IllegalArgumentException(
          "A stop string is empty; each needs at least one character: " + this.stops);
    }
  }

  /**
   * Takes the text that follows.
   *
   * @return the text that is certain to come before any stop string; after a match nothing
   */
  public String push(final String text) {
    return advance(text, false);
  }

  /**
   * Ends the text: what is held back can no longer become a stop string.
   *
   * @return the rest of the text, up to a stop string if there is one in it
   */
  public String finish() {
    return advance("", true);
  }

  /** The stop string that ended the text. */
  public Optional<String> matched() {
    return Optional.ofNullable(matched);
  }

  private String advance(final String next, final boolean last) {
    if (matched != null) {
      return "";
    }
    final String text = held + next;
    int start = 0;
    while (start < text.length() && (last || !mayGrow(text, start))) {
      matched = longestMatch(text, start);
      if (matched != null) {
        break;
      }
      start++;
    }
    held = text.substring(start);
    return text.substring(0, start);
  }

  /** Whether more text could complete a stop string that begins here. */
  private boolean mayGrow(String text, int start) {
    final int length = text.length() - start;
    return stops.stream()
        .anyMatch(stop -> stop.length() > length && stop.regionMatches(0, text, start, length));
  }

  private String longestMatch(String text, int start) {
    return stops.stream()
        .filter(stop -> text.startsWith(stop, start))
        .max(Comparator.comparingInt(String::length))
        .orElse(null);
  }
}
