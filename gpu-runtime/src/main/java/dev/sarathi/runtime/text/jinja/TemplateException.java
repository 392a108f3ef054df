package dev.sarathi.runtime.text.jinja;

import java.util.function.Supplier;

/** A template cannot be parsed or rendered, or has itself raised an error. */
public final class TemplateException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final boolean complete;

  /** Of something that does not know its line. */
  TemplateException(final String message) {
    this(message, false);
  }

  private TemplateException(final String message, final boolean complete) {
    super(message);
    this.complete = complete;
  }

  static TemplateException at(final int line, final String format, final Object... arguments) {
    return new TemplateException("line " + line + ": " + format.formatted(arguments), true);
  }

  /** What the template says itself, word for word. */
  static TemplateException raised(final String message) {
    return new TemplateException(message, true);
  }

  /** Does something on behalf of a line, which an error then names. */
  static <T> T at(final int line, final Supplier<T> part) {
    try {
      return part.get();
    } catch (final TemplateException e) {
      throw e.complete ? e : at(line, "%s", e.getMessage());
    }
  }
}
