package dev.sarathi.runtime.text.jinja;

import java.util.Collection;
import java.util.List;
import java.util.Map;

/** JSON laid out as Python's {@code json.dumps} does it, characters beyond ASCII kept. */
final class Json {
  private static final int MAX_DEPTH = 100;

  private final Budget budget;
  private final long indent;
  private final StringBuilder json = new StringBuilder();

  private Json(final Budget budget, final long indent) {
    this.budget = budget;
    this.indent = indent;
  }

  /**
   * @param indent blanks for each level; negative for everything on one line
   */
  static String of(final Object value, final long indent, final Budget budget) {
    final Json json = new Json(budget, indent);
    json.write(value, 0);
    return json.json.toString();
  }

  private void write(final Object value, final int depth) {
    budget.step();
    if (depth > MAX_DEPTH) {
      throw new TemplateException("tojson: values nest more than %d deep".formatted(MAX_DEPTH));
    }
    switch (value) {
      case None none -> json.append("null");
      case Boolean truth -> json.append(truth);
      case Long number -> json.append(number);
      case String text -> string(text);
      case List<?> list -> sequence('[', list, depth, ']');
      case Map<?, ?> map -> sequence('{', map.entrySet(), depth, '}');
      default -> throw Values.wrong(value, "tojson");
    }
  }

  private void sequence(
      final char open, final Collection<?> items, final int depth, final char close) {
    json.append(open);
    boolean first = true;
    for (final Object item : items) {
      if (!first) {
        json.append(indent < 0 ? ", " : ",");
      }
      first = false;
      newline(depth + 1);
      if (item instanceof Map.Entry<?, ?> entry) {
        string((String) entry.getKey());
        json.append(": ");
        write(entry.getValue(), depth + 1);
      } else {
        write(item, depth + 1);
      }
    }
    if (!first) {
      newline(depth);
    }
    json.append(close);
  }

  private void newline(final int depth) {
    if (indent >= 0) {
      json.append('\n').repeat(' ', (int) (depth * indent));
      budget.length(json.length());
    }
  }

  private void string(final String text) {
    budget.characters(text.length());
    budget.length((long) json.length() + text.length());
    json.append('"');
    for (int i = 0; i < text.length(); i++) {
      final char c = text.charAt(i);
      switch (c) {
        case '"', '\\' -> json.append('\\').append(c);
        case '\n' -> json.append("\\n");
        case '\r' -> json.append("\\r");
        case '\t' -> json.append("\\t");
        case '\b' -> json.append("\\b");
        case '\f' -> json.append("\\f");
        default -> {
          if (c < ' ') {
            json.append("\\u%04x".formatted((int) c));
          } else {
            json.append(c);
          }
        }
      }
    }
    json.append('"');
  }
}
