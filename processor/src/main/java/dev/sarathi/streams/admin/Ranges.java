package dev.sarathi.streams.admin;

import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** A set of offsets, written as {@code 3-5,9}: what may stand beside a committed offset. */
final class Ranges {
  /** The last offset of each range, by its first. */
  private final NavigableMap<Long, Long> ranges = new TreeMap<>();

  static Ranges parse(final String text) {
    final Ranges parsed = new Ranges();
    if (!text.isEmpty()) {
      for (final String range : text.split(",")) {
        final int dash = range.indexOf('-');
        final long first = Long.parseLong(dash < 0 ? range : range.substring(0, dash));
        parsed.ranges.put(first, dash < 0 ? first : Long.parseLong(range.substring(dash + 1)));
      }
    }
    return parsed;
  }

  boolean contains(final long offset) {
    final Map.Entry<Long, Long> range = ranges.floorEntry(offset);
    return range != null && offset <= range.getValue();
  }

  /** Adds all from {@code first} to {@code last}. */
  void add(final long first, final long last) {
    long from = first;
    long to = last;
    final Map.Entry<Long, Long> before = ranges.floorEntry(from);
    if (before != null && before.getValue() >= from - 1) {
      from = before.getKey();
      to = Math.max(to, before.getValue());
    }
    for (Map.Entry<Long, Long> next = ranges.ceilingEntry(from);
        next != null && next.getKey() <= to + 1;
        next = ranges.ceilingEntry(from)) {
      to = Math.max(to, next.getValue());
      ranges.remove(next.getKey());
    }
    ranges.put(from, to);
  }

  /** Forgets what lies before an offset. */
  void removeBefore(final long offset) {
    final Map.Entry<Long, Long> across = ranges.lowerEntry(offset);
    if (across != null && across.getValue() >= offset) {
      ranges.put(offset, across.getValue());
    }
    ranges.headMap(offset).clear();
  }

  @Override
  public String toString() {
    return ranges.entrySet().stream()
        .map(
            range ->
                range.getKey().equals(range.getValue())
                    ? range.getKey().toString()
                    : range.getKey() + "-" + range.getValue())
        .collect(Collectors.joining(","));
  }
}
