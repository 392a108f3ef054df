package dev.sarathi.runtime.text.jinja;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** What a template does, in order. */
sealed interface Statement {
  record Data(String text) implements Statement {}

  record Output(Expression value, int line) implements Statement {}

  record If(Expression condition, List<Statement> then, List<Statement> otherwise)
      implements Statement {}

  record For(
      List<String> targets,
      Expression items,
      Optional<Expression> condition,
      List<Statement> body,
      List<Statement> otherwise,
      int line)
      implements Statement {}

  record Assign(String name, Expression value) implements Statement {}

  record AssignBlock(String name, List<Statement> body) implements Statement {}

  record AssignMember(String namespace, String member, Expression value, int line)
      implements Statement {}

  /** A function that renders its body; {@code defaults} are by the parameter's name. */
  record Macro(
      String name, List<String> parameters, Map<String, Expression> defaults, List<Statement> body)
      implements Statement {}

  record Break() implements Statement {}

  record Continue() implements Statement {}
}
