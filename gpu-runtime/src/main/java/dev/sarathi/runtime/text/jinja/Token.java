package dev.sarathi.runtime.text.jinja;

/** A piece of a template's source; for a string its value, escapes replaced. */
record Token(Kind kind, String text, int line) {
  enum Kind {
    DATA,
    EXPRESSION_BEGIN,
    EXPRESSION_END,
    BLOCK_BEGIN,
    BLOCK_END,
    NAME,
    STRING,
    INTEGER,
    OPERATOR,
    END
  }

  boolean is(final Kind expected, final String value) {
    return kind == expected && text.equals(value);
  }

  @Override
  public String toString() {
    return switch (kind) {
      case END -> "the end of the template";
      case STRING -> "a string";
      default -> "'" + text + "'";
    };
  }
}
