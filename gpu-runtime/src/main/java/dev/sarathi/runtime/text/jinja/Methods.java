package dev.sarathi.runtime.text.jinja;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.stream.Collectors;

/** The methods that strings and mappings have in Python, as far as they are supported. */
final class Methods {
  /** Of every type together: a parser knows the names, not the types. */
  static final Set<String> NAMES =
      Set.of(
          "strip",
          "lstrip",
          "rstrip",
          "startswith",
          "endswith",
          "split",
          "rsplit",
          "replace",
          "find",
          "count",
          "join",
          "upper",
          "lower",
          "removeprefix",
          "removesuffix",
          "get",
          "items",
          "keys",
          "values");

  private final Values values;
  private final Budget budget;

  Methods(final Values values, final Budget budget) {
    this.values = values;
    this.budget = budget;
  }

  /** The method bound to the object; null if there is none of that name. */
  Callable find(final Object object, final String name) {
    return switch (object) {
      case String text -> ofText(text, name);
      case Map<?, ?> map -> ofMap(map, name);
      default -> null;
    };
  }

  private Callable ofText(final String text, final String name) {
    return switch (name) {
      case "strip" -> call(0, 1, a -> strip(text, a, true, true));
      case "lstrip" -> call(0, 1, a -> strip(text, a, true, false));
      case "rstrip" -> call(0, 1, a -> strip(text, a, false, true));
      case "startswith" -> call(1, 1, a -> text.startsWith(string(a, 0)));
      case "endswith" -> call(1, 1, a -> text.endsWith(string(a, 0)));
      case "split" -> call(0, 2, a -> split(text, a, true));
      case "rsplit" -> call(1, 2, a -> split(text, a, false));
      case "replace" -> call(2, 2, a -> replace(text, string(a, 0), string(a, 1)));
      case "find" -> call(1, 1, a -> find(text, string(a, 0)));
      case "count" -> call(1, 1, a -> count(text, string(a, 0)));
      case "join" -> call(1, 1, a -> join(text, values.items(a.get(0))));
      case "upper" -> call(0, 0, a -> text.toUpperCase(Locale.ROOT));
      case "lower" -> call(0, 0, a -> text.toLowerCase(Locale.ROOT));
      case "removeprefix" ->
          call(
              1,
              1,
              a -> text.startsWith(string(a, 0)) ? text.substring(string(a, 0).length()) : text);
      case "removesuffix" ->
          call(
              1,
              1,
              a ->
                  text.endsWith(string(a, 0))
                      ? text.substring(0, text.length() - string(a, 0).length())
                      : text);
      default -> null;
    };
  }

  private Callable ofMap(final Map<?, ?> map, final String name) {
    return switch (name) {
      case "get" ->
          call(
              1,
              2,
              a -> {
                final Object value = map.get(Values.key(a.get(0)));
                return value != null ? value : a.size() > 1 ? a.get(1) : None.NONE;
              });
      case "keys" -> call(0, 0, a -> List.copyOf(map.keySet()));
      case "values" -> call(0, 0, a -> List.copyOf(map.values()));
      case "items" -> call(0, 0, a -> pairs(map));
      default -> null;
    };
  }

  static List<Object> pairs(final Map<?, ?> map) {
    return map.entrySet().stream()
        .<Object>map(entry -> List.of(entry.getKey(), entry.getValue()))
        .collect(Collectors.toList());
  }

  @FunctionalInterface
  private interface Body {
    Object apply(List<Object> arguments);
  }

  private Callable call(final int least, final int most, final Body body) {
    return (positional, named) -> {
      if (!named.isEmpty() || positional.size() < least || positional.size() > most) {
        throw new TemplateException(
            "a method has %d arguments and the named ones %s; it takes %d to %d"
                .formatted(positional.size(), named.keySet(), least, most));
      }
      final Object result = body.apply(positional);
      switch (result) {
        case String text -> budget.characters(text.length());
        case List<?> list -> budget.items(list.size());
        default -> {}
      }
      return result;
    };
  }

  private static String string(final List<Object> arguments, final int index) {
    return Values.string(arguments.get(index), "a method of a string");
  }

  static Object strip(
      final String text, final List<Object> arguments, final boolean start, final boolean end) {
    final IntPredicate of;
    if (arguments.isEmpty() || arguments.getFirst() == None.NONE) {
      of = Text::isSpace;
    } else {
      final Set<Integer> characters =
          string(arguments, 0).codePoints().boxed().collect(Collectors.toSet());
      of = characters::contains;
    }
    final String stripped = end ? Text.stripEnd(text, of) : text;
    return start ? Text.stripStart(stripped, of) : stripped;
  }

  private List<Object> split(
      final String text, final List<Object> arguments, final boolean fromStart) {
    final long limit = arguments.size() > 1 ? Values.number(arguments.get(1), "split") : -1;
    if (arguments.isEmpty() || arguments.getFirst() == None.NONE) {
      if (!fromStart) {
        throw new TemplateException("rsplit without a separator is not supported");
      }
      budget.characters(text.length());
      return Text.splitAtSpaces(text, limit);
    }
    final String separator = string(arguments, 0);
    budget.items(count(text, separator));
    return fromStart ? Text.split(text, separator, limit) : Text.splitAtEnd(text, separator, limit);
  }

  private long count(final String text, final String part) {
    if (part.isEmpty()) {
      throw new TemplateException("an empty part of a string is looked for");
    }
    budget.search(text, part);
    return Text.count(text, part);
  }

  String replace(final String text, final String part, final String by) {
    final long count = count(text, part);
    budget.characters(text.length() + count * ((long) by.length() - part.length()));
    return text.replace(part, by);
  }

  private Object find(final String text, final String part) {
    budget.search(text, part);
    final int at = text.indexOf(part);
    return at < 0 ? -1L : (long) text.codePointCount(0, at);
  }

  String join(final String separator, final List<Object> parts) {
    final List<String> texts = new ArrayList<>();
    long length = 0;
    for (final Object part : parts) {
      final String text = Values.string(part, "join");
      length += text.length() + separator.length();
      budget.characters(length);
      texts.add(text);
    }
    return String.join(separator, texts);
  }
}
