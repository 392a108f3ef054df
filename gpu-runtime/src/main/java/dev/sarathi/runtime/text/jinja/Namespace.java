package dev.sarathi.runtime.text.jinja;

import java.util.LinkedHashMap;
import java.util.Map;

/** Variables that a loop can change for what comes after it. */
final class Namespace {
  private final Map<String, Object> members;

  Namespace(final Map<String, Object> members) {
    this.members = new LinkedHashMap<>(members);
  }

  Object get(final String name) {
    final Object value = members.get(name);
    return value == null ? new Undefined("the namespace has no member '" + name + "'") : value;
  }

  void set(final String name, final Object value) {
    members.put(name, value);
  }
}
