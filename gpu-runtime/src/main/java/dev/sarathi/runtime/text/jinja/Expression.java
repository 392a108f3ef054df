package dev.sarathi.runtime.text.jinja;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What has a value. */
sealed interface Expression {
  record Constant(Object value) implements Expression {}

  record Name(String name) implements Expression {}

  record ListOf(List<Expression> items) implements Expression {}

  record MapOf(List<Expression> keys, List<Expression> values) implements Expression {}

  record Attribute(Expression object, String name, int line) implements Expression {}

  record Item(Expression object, Expression key, int line) implements Expression {}

  record SliceOf(
      Expression object,
      Optional<Expression> start,
      Optional<Expression> stop,
      Optional<Expression> step,
      int line)
      implements Expression {}

  record Call(Expression function, Arguments arguments, int line) implements Expression {}

  record Filter(String name, Expression value, Arguments arguments, int line)
      implements Expression {}

  record Test(String name, Expression value, Arguments arguments, int line) implements Expression {}

  record Binary(String operator, Expression left, Expression right, int line)
      implements Expression {}

  record Negative(Expression value, int line) implements Expression {}

  record Not(Expression value) implements Expression {}

  record And(Expression left, Expression right) implements Expression {}

  record Or(Expression left, Expression right) implements Expression {}

  /** A chain as in {@code a < b <= c}: every operator takes the operand before it. */
  record Compare(Expression first, List<String> operators, List<Expression> others, int line)
      implements Expression {}

  record Concatenation(List<Expression> parts) implements Expression {}

  record Conditional(Expression condition, Expression then, Optional<Expression> otherwise)
      implements Expression {}

  record Arguments(List<Expression> positional, Map<String, Expression> named) {
    static final Arguments NONE = new Arguments(List.of(), Map.of());
  }
}
