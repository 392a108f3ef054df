package dev.sarathi.runtime.text.jinja;

import java.util.AbstractList;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Map;

/**
 * Python's operations on the values of a template: {@link String}, {@link Long}, {@link Boolean},
 * {@link None}, {@link Undefined}, {@link List}, {@link Map}, {@link Namespace}, {@link Loop},
 * {@link Callable}, and {@link Iterator} for what Python generates on demand.
 */
final class Values {
  private static final int MAX_DEPTH = 100;

  private final Budget budget;

  Values(final Budget budget) {
    this.budget = budget;
  }

  static String type(final Object value) {
    return switch (value) {
      case String text -> "a string";
      case Long number -> "a number";
      case Boolean truth -> "a boolean";
      case None none -> "none";
      case Undefined undefined -> "undefined";
      case List<?> list -> "a list";
      case Map<?, ?> map -> "a mapping";
      case Namespace namespace -> "a namespace";
      case Loop loop -> "a loop";
      case Callable callable -> "a function";
      default -> "a generator";
    };
  }

  static boolean truth(final Object value) {
    return switch (value) {
      case String text -> !text.isEmpty();
      case Long number -> number != 0;
      case Boolean truth -> truth;
      case None none -> false;
      case Undefined undefined -> false;
      case List<?> list -> !list.isEmpty();
      case Map<?, ?> map -> !map.isEmpty();
      case Loop loop -> true;
      default -> true;
    };
  }

  /**
   * As {@code str} writes it. Of lists and the like that is Python's source code: not supported.
   */
  static String text(final Object value) {
    return switch (value) {
      case String text -> text;
      case Long number -> number.toString();
      case Boolean truth -> truth ? "True" : "False";
      case None none -> "None";
      case Undefined undefined -> "";
      default -> throw new TemplateException(type(value) + " as text is not supported");
    };
  }

  static long number(final Object value, final String use) {
    return switch (value) {
      case Long number -> number;
      case Boolean truth -> truth ? 1 : 0;
      default -> throw wrong(value, use);
    };
  }

  static String string(final Object value, final String use) {
    if (value instanceof String text) {
      return text;
    }
    throw wrong(value, use);
  }

  static TemplateException wrong(final Object value, final String use) {
    return new TemplateException(
        value instanceof Undefined undefined
            ? undefined.problem()
            : type(value) + " cannot be used with " + use);
  }

  long length(final Object value) {
    return switch (value) {
      case String text -> {
        budget.characters(text.length());
        yield Text.length(text);
      }
      case List<?> list -> list.size();
      case Map<?, ?> map -> map.size();
      case Undefined undefined -> 0;
      case Loop loop -> loop.items().size();
      default -> throw wrong(value, "length");
    };
  }

  /** The items that a loop goes over. */
  List<Object> items(final Object value) {
    return switch (value) {
      case Undefined undefined -> List.of();
      case String text -> {
        budget.items(text.length());
        yield characters(text);
      }
      case List<?> list -> copy(list);
      case Map<?, ?> map -> copy(map.keySet());
      case Iterator<?> iterator -> {
        final List<Object> items = new ArrayList<>();
        iterator.forEachRemaining(items::add);
        yield items;
      }
      default -> throw wrong(value, "a loop");
    };
  }

  /** A view of a text's characters, which are code points. */
  private List<Object> characters(final String text) {
    budget.characters(text.length());
    final int[] points = text.codePoints().toArray();
    return new AbstractList<>() {
      @Override
      public Object get(final int index) {
        return Character.toString(points[index]);
      }

      @Override
      public int size() {
        return points.length;
      }
    };
  }

  private List<Object> copy(final Collection<?> items) {
    budget.items(items.size());
    return List.copyOf(items);
  }

  boolean equal(final Object left, final Object right) {
    return equal(left, right, 0);
  }

  private boolean equal(final Object left, final Object right, final int depth) {
    budget.step();
    if (depth > MAX_DEPTH) {
      throw new TemplateException("values nest more than %d deep".formatted(MAX_DEPTH));
    }
    if (isNumber(left) && isNumber(right)) {
      return number(left, "==") == number(right, "==");
    }
    return switch (left) {
      case String text -> {
        budget.characters(text.length());
        yield text.equals(right);
      }
      case Undefined undefined -> right instanceof Undefined;
      case List<?> list -> right instanceof List<?> other && equal(list, other, depth);
      case Map<?, ?> map -> right instanceof Map<?, ?> other && equal(map, other, depth);
      default -> left == right;
    };
  }

  private boolean equal(final List<?> left, final List<?> right, final int depth) {
    if (left.size() != right.size()) {
      return false;
    }
    for (int i = 0; i < left.size(); i++) {
      if (!equal(left.get(i), right.get(i), depth + 1)) {
        return false;
      }
    }
    return true;
  }

  private boolean equal(final Map<?, ?> left, final Map<?, ?> right, final int depth) {
    return left.size() == right.size()
        && left.entrySet().stream()
            .allMatch(
                entry ->
                    right.containsKey(entry.getKey())
                        && equal(entry.getValue(), right.get(entry.getKey()), depth + 1));
  }

  static boolean isNumber(final Object value) {
    return value instanceof Long || value instanceof Boolean;
  }

  boolean contains(final Object container, final Object item) {
    return switch (container) {
      case String text -> {
        final String part = string(item, "'in' a string");
        budget.search(text, part);
        yield text.contains(part);
      }
      case Map<?, ?> map -> map.containsKey(key(item));
      case List<?> list -> list.stream().anyMatch(each -> equal(each, item));
      case Undefined undefined -> false;
      case Iterator<?> iterator -> items(iterator).stream().anyMatch(each -> equal(each, item));
      default -> throw wrong(container, "'in'");
    };
  }

  /** A key as a map holds it. Strings only: Python takes 1, 1.0 and true for the same key. */
  static String key(final Object value) {
    return string(value, "a mapping as its key");
  }

  int compare(final Object left, final Object right, final String operator) {
    if (isNumber(left) && isNumber(right)) {
      return Long.compare(number(left, operator), number(right, operator));
    }
    if (left instanceof String first && right instanceof String second) {
      budget.characters((long) first.length() + second.length());
      return Text.compare(first, second);
    }
    throw wrong(isNumber(left) || left instanceof String ? right : left, operator);
  }

  Object arithmetic(final String operator, final Object left, final Object right) {
    if (operator.equals("+")) {
      if (left instanceof String first && right instanceof String second) {
        budget.characters((long) first.length() + second.length());
        return first + second;
      }
      if (left instanceof List<?> first && right instanceof List<?> second) {
        budget.items((long) first.size() + second.size());
        final List<Object> both = new ArrayList<>(first);
        both.addAll(second);
        return both;
      }
    }
    if (!isNumber(left) || !isNumber(right)) {
      final boolean fine = isNumber(left) || operator.equals("+") && left instanceof String;
      throw wrong(fine || right instanceof Undefined ? right : left, operator);
    }
    final long a = number(left, operator);
    final long b = number(right, operator);
    try {
      return switch (operator) {
        case "+" -> Math.addExact(a, b);
        case "-" -> Math.subtractExact(a, b);
        case "*" -> Math.multiplyExact(a, b);
        case "//" -> Math.floorDivExact(a, b);
        default -> Math.floorMod(a, b);
      };
    } catch (final ArithmeticException e) {
      throw new TemplateException("%d %s %d: %s".formatted(a, operator, b, e.getMessage()));
    }
  }

  Object item(final Object object, final Object key) {
    final Object found =
        switch (object) {
          case List<?> list when isNumber(key) -> at(list, number(key, "an index"));
          case String text when isNumber(key) -> at(characters(text), number(key, "an index"));
          case Map<?, ?> map when key instanceof String -> map.get(key);
          case Undefined undefined -> throw wrong(undefined, "an index");
          default -> key instanceof String name ? attribute(object, name) : null;
        };
    return found == null
        ? new Undefined(
            "%s has no item %s"
                .formatted(type(object), key instanceof String s ? "'" + s + "'" : text(key)))
        : found;
  }

  private static Object at(final List<?> list, final long index) {
    final long position = index < 0 ? index + list.size() : index;
    return position >= 0 && position < list.size() ? list.get((int) position) : null;
  }

  Object attribute(final Object object, final String name) {
    if (object instanceof Undefined) {
      throw wrong(object, name);
    }
    if (object instanceof Loop loop) {
      return loop.attribute(name);
    }
    if (object instanceof Namespace namespace) {
      return namespace.get(name);
    }
    final Callable method = new Methods(this, budget).find(object, name);
    if (method != null) {
      return method;
    }
    final Object value = object instanceof Map<?, ?> map ? map.get(name) : null;
    return value == null
        ? new Undefined("%s has no attribute '%s'".formatted(type(object), name))
        : value;
  }

  Object slice(final Object object, final Object start, final Object stop, final Object step) {
    if (!(object instanceof String) && !(object instanceof List)) {
      throw wrong(object, "a slice");
    }
    final List<Object> items = object instanceof String text ? characters(text) : items(object);
    final long by = step == None.NONE ? 1 : number(step, "a slice");
    if (by == 0) {
      throw new TemplateException("a slice has the step 0");
    }
    final long size = items.size();
    final long from = bound(start, by > 0 ? 0 : size - 1, by, size);
    final long to = bound(stop, by > 0 ? size : -1, by, size);
    final StringBuilder text = new StringBuilder();
    final List<Object> slice = new ArrayList<>();
    // A step beyond the size takes one item, and would lead beyond what a number holds.
    final long stride = Math.clamp(by, -size - 1, size + 1);
    for (long i = from; stride > 0 ? i < to : i > to; i += stride) {
      if (object instanceof String) {
        text.append(items.get((int) i));
      } else {
        slice.add(items.get((int) i));
      }
    }
    return object instanceof String ? text.toString() : slice;
  }

  private static long bound(
      final Object bound, final long absent, final long step, final long size) {
    if (bound == None.NONE) {
      return absent;
    }
    final long number = number(bound, "a slice");
    final long position = number < 0 ? Math.max(number, -size - 1) + size : number;
    return step > 0 ? Math.clamp(position, 0, size) : Math.clamp(position, -1, size - 1);
  }
}
