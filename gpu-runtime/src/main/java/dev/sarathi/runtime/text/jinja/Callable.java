package dev.sarathi.runtime.text.jinja;

import java.util.List;
import java.util.Map;

/** A function, macro or bound method. */
@FunctionalInterface
interface Callable {
  Object call(List<Object> positional, Map<String, Object> named);
}
