package dev.sarathi.runtime.text.jinja;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;

/** What may stand behind {@code |}. */
final class Filters {
  private static final long MAX_INDENT = 100;

  static final Set<String> NAMES =
      Set.of(
          "trim",
          "length",
          "count",
          "tojson",
          "upper",
          "lower",
          "join",
          "first",
          "last",
          "default",
          "d",
          "replace",
          "list",
          "string",
          "reverse",
          "items",
          "map",
          "select",
          "reject",
          "selectattr",
          "rejectattr");

  private final Values values;
  private final Budget budget;

  Filters(final Values values, final Budget budget) {
    this.values = values;
    this.budget = budget;
  }

  Object filter(
      final String name,
      final Object value,
      final List<Object> positional,
      final Map<String, Object> named) {
    final Call call = new Call(name, positional, named);
    final Object result =
        switch (name) {
          case "trim" ->
              Methods.strip(
                  Values.text(value), List.of(call.optional(0, "chars", None.NONE)), true, true);
          case "length", "count" -> values.length(value);
          case "tojson" -> Json.of(value, indent(call), budget);
          case "upper" -> Values.text(value).toUpperCase(Locale.ROOT);
          case "lower" -> Values.text(value).toLowerCase(Locale.ROOT);
          case "join" -> join(value, call);
          case "first" -> end(values.items(value), true);
          case "last" -> end(reversible(value), false);
          case "default", "d" -> orDefault(value, call);
          case "replace" ->
              new Methods(values, budget)
                  .replace(
                      Values.text(value),
                      Values.text(call.required(0, "old")),
                      Values.text(call.required(1, "new")));
          case "list" -> values.items(value);
          case "string" -> Values.text(value);
          case "reverse" -> reverse(value);
          case "items" -> items(value);
          case "map" -> map(value, call);
          default -> select(name, value, call);
        };
    call.refuseRest();
    if (result instanceof String text) {
      budget.characters(text.length());
    }
    return result;
  }

  /** Takes the arguments one by one, by position or name. */
  private static final class Call {
    private final String filter;
    private final List<Object> positional;
    private final Map<String, Object> named;
    private int taken;
    private int takenByName;

    Call(final String filter, final List<Object> positional, final Map<String, Object> named) {
      this.filter = filter;
      this.positional = positional;
      this.named = named;
    }

    Object optional(final int index, final String name, final Object absent) {
      if (index < positional.size()) {
        taken = Math.max(taken, index + 1);
        return positional.get(index);
      }
      final Object value = named.get(name);
      takenByName += value == null ? 0 : 1;
      return value == null ? absent : value;
    }

    Object required(final int index, final String name) {
      final Object value = optional(index, name, null);
      if (value == null) {
        throw new TemplateException("filter '%s' lacks its argument %s".formatted(filter, name));
      }
      return value;
    }

    List<Object> from(final int index) {
      taken = Math.max(index, positional.size());
      return positional.subList(Math.min(index, positional.size()), positional.size());
    }

    void refuseRest() {
      if (taken < positional.size() || takenByName < named.size()) {
        throw new TemplateException(
            "filter '%s' does not support %d arguments and the named ones %s"
                .formatted(filter, positional.size(), named.keySet()));
      }
    }
  }

  private static long indent(final Call call) {
    final Object indent = call.optional(1, "indent", None.NONE);
    if (indent == None.NONE) {
      return -1;
    }
    final long blanks = Values.number(indent, "tojson");
    if (blanks < 0 || blanks > MAX_INDENT) {
      throw new TemplateException(
          "filter 'tojson' has the indent %d; valid are 0 to %d".formatted(blanks, MAX_INDENT));
    }
    return blanks;
  }

  private String join(final Object value, final Call call) {
    final String separator = Values.text(call.optional(0, "d", ""));
    final Object attribute = call.optional(1, "attribute", None.NONE);
    final List<Object> texts = new ArrayList<>();
    for (final Object item : values.items(value)) {
      final Object part =
          attribute == None.NONE ? item : member(item, Values.string(attribute, "join"));
      texts.add(Values.text(part));
    }
    return new Methods(values, budget).join(separator, texts);
  }

  private static Object end(final List<Object> items, final boolean first) {
    if (items.isEmpty()) {
      return new Undefined("there is no item in an empty list");
    }
    return first ? items.getFirst() : items.getLast();
  }

  private List<Object> reversible(final Object value) {
    if (value instanceof Iterator) {
      throw Values.wrong(value, "'last'");
    }
    return values.items(value);
  }

  private static Object orDefault(final Object value, final Call call) {
    final Object other = call.optional(0, "default_value", "");
    final boolean alsoFalse = Values.truth(call.optional(1, "boolean", false));
    return value instanceof Undefined || alsoFalse && !Values.truth(value) ? other : value;
  }

  private Object reverse(final Object value) {
    if (value instanceof String text) {
      return values.slice(text, None.NONE, None.NONE, -1L);
    }
    return values.items(value).reversed().iterator();
  }

  private static Object items(final Object value) {
    return switch (value) {
      case Undefined undefined -> List.of().iterator();
      case Map<?, ?> map -> Methods.pairs(map).iterator();
      default -> throw Values.wrong(value, "'items'");
    };
  }

  private Object map(final Object value, final Call call) {
    final String attribute =
        Values.string(call.optional(Integer.MAX_VALUE, "attribute", None.NONE), "map");
    final List<Object> mapped = new ArrayList<>();
    for (final Object item : values.items(value)) {
      mapped.add(member(item, attribute));
    }
    return mapped.iterator();
  }

  private Object select(final String name, final Object value, final Call call) {
    final boolean byAttribute = name.endsWith("attr");
    final String attribute = byAttribute ? Values.string(call.required(0, "attr"), name) : "";
    final List<Object> rest = call.from(byAttribute ? 1 : 0);
    final Predicate<Object> test = test(rest);
    final boolean wanted = name.startsWith("select");
    final List<Object> selected = new ArrayList<>();
    for (final Object item : values.items(value)) {
      if (test.test(byAttribute ? member(item, attribute) : item) == wanted) {
        selected.add(item);
      }
    }
    return selected.iterator();
  }

  private Predicate<Object> test(final List<Object> rest) {
    if (rest.isEmpty()) {
      return Values::truth;
    }
    final String test = Values.string(rest.getFirst(), "a test");
    if (!Tests.NAMES.contains(test)) {
      throw new TemplateException("test '%s' is not supported".formatted(test));
    }
    final List<Object> arguments = rest.subList(1, rest.size());
    return value -> new Tests(values).test(test, value, arguments);
  }

  private Object member(final Object item, final String name) {
    if (name.contains(".")) {
      throw new TemplateException("the path '%s' in a filter is not supported".formatted(name));
    }
    budget.step();
    return values.item(item, name);
  }
}
