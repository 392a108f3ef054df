package dev.sarathi.runtime.text.jinja;

import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What may stand behind {@code is}. */
final class Tests {
  private static final Set<String> COMPARISONS =
      Set.of("eq", "equalto", "==", "ne", "lt", "le", "gt", "ge", "in");

  static final Set<String> NAMES =
      Set.of(
          "defined",
          "undefined",
          "none",
          "string",
          "number",
          "integer",
          "boolean",
          "true",
          "false",
          "mapping",
          "sequence",
          "iterable",
          "callable",
          "odd",
          "even",
          "divisibleby",
          "eq",
          "equalto",
          "ne",
          "lt",
          "le",
          "gt",
          "ge",
          "in");

  private final Values values;

  Tests(final Values values) {
    this.values = values;
  }

  boolean test(final String name, final Object value, final List<Object> arguments) {
    final int expected = COMPARISONS.contains(name) || name.equals("divisibleby") ? 1 : 0;
    if (arguments.size() != expected) {
      throw new TemplateException(
          "test '%s' has %d arguments; it takes %d".formatted(name, arguments.size(), expected));
    }
    return switch (name) {
      case "defined" -> !(value instanceof Undefined);
      case "undefined" -> value instanceof Undefined;
      case "none" -> value == None.NONE;
      case "string" -> value instanceof String;
      case "number" -> Values.isNumber(value);
      case "integer" -> value instanceof Long;
      case "boolean" -> value instanceof Boolean;
      case "true" -> Boolean.TRUE.equals(value);
      case "false" -> Boolean.FALSE.equals(value);
      case "mapping" -> value instanceof Map;
      case "sequence" -> isSequence(value);
      case "iterable" -> isSequence(value) || value instanceof Iterator || value instanceof Loop;
      case "callable" -> value instanceof Callable || value instanceof Undefined;
      case "odd" -> Math.floorMod(Values.number(value, name), 2L) == 1;
      case "even" -> Math.floorMod(Values.number(value, name), 2L) == 0;
      case "divisibleby" ->
          Values.number(values.arithmetic("%", value, arguments.getFirst()), name) == 0;
      default -> compare(name, value, arguments.getFirst());
    };
  }

  private static boolean isSequence(final Object value) {
    return value instanceof String
        || value instanceof List
        || value instanceof Map
        || value instanceof Undefined;
  }

  private boolean compare(final String name, final Object value, final Object other) {
    return switch (name) {
      case "eq", "equalto" -> values.equal(value, other);
      case "ne" -> !values.equal(value, other);
      case "lt" -> values.compare(value, other, name) < 0;
      case "le" -> values.compare(value, other, name) <= 0;
      case "gt" -> values.compare(value, other, name) > 0;
      case "ge" -> values.compare(value, other, name) >= 0;
      default -> values.contains(other, value);
    };
  }
}
