package dev.sarathi.runtime.text.jinja;

import java.util.List;

/** What {@code loop} is in a loop over these items, at one of them. */
record Loop(List<Object> items, int index, int depth) {
  Object attribute(final String name) {
    return switch (name) {
      case "index" -> index + 1L;
      case "index0" -> (long) index;
      case "revindex" -> (long) items.size() - index;
      case "revindex0" -> items.size() - index - 1L;
      case "first" -> index == 0;
      case "last" -> index == items.size() - 1;
      case "length" -> (long) items.size();
      case "depth" -> (long) depth;
      case "depth0" -> depth - 1L;
      case "previtem" ->
          index > 0 ? items.get(index - 1) : new Undefined("there is no previous item");
      case "nextitem" ->
          index + 1 < items.size() ? items.get(index + 1) : new Undefined("there is no next item");
      default -> new Undefined("loop has no attribute '" + name + "'");
    };
  }
}
