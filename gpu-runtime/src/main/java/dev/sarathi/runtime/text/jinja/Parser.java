package dev.sarathi.runtime.text.jinja;

import dev.sarathi.runtime.text.jinja.Expression.Arguments;
import dev.sarathi.runtime.text.jinja.Token.Kind;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/** Recursive descent over the tokens, with the precedences of Jinja. */
final class Parser {
  /** A real template nests a dozen deep; the stack has room for many times this. */
  private static final int MAX_DEPTH = 100;

  private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");

  private final List<Token> tokens;
  private int position;
  private int depth;
  private int loops;

  private Parser(final List<Token> tokens) {
    this.tokens = tokens;
  }

  static List<Statement> parse(final String source) {
    final Parser parser = new Parser(Lexer.tokens(source));
    final List<Statement> statements = parser.body();
    if (parser.next().kind() != Kind.END) {
      throw parser.unexpected("a statement");
    }
    return statements;
  }

  // ---- statements

  /** All statements up to the end, or to a block that is none: {@code else}, {@code endfor}... */
  private List<Statement> body(final String... ends) {
    final List<Statement> statements = new ArrayList<>();
    while (true) {
      final Token token = next();
      switch (token.kind()) {
        case DATA -> statements.add(new Statement.Data(take().text()));
        case EXPRESSION_BEGIN -> {
          take();
          statements.add(new Statement.Output(tuple(), token.line()));
          expect(Kind.EXPRESSION_END);
        }
        case BLOCK_BEGIN -> {
          final Token keyword = tokens.get(position + 1);
          if (keyword.kind() == Kind.NAME && Set.of(ends).contains(keyword.text())) {
            return statements;
          }
          take();
          statements.addAll(nested(this::block));
        }
        default -> {
          if (ends.length > 0) {
            throw TemplateException.at(token.line(), "%s is missing", ends[ends.length - 1]);
          }
          return statements;
        }
      }
    }
  }

  private List<Statement> block() {
    final Token keyword = expect(Kind.NAME);
    return switch (keyword.text()) {
      case "if" -> List.of(conditional());
      case "for" -> List.of(loop(keyword.line()));
      case "set" -> List.of(assignment());
      case "macro" -> List.of(macro());
      case "break" -> List.of(inLoop(keyword, new Statement.Break()));
      case "continue" -> List.of(inLoop(keyword, new Statement.Continue()));
      // Marks for training what the assistant has said; renders as what is in it.
      case "generation" -> {
        final List<Statement> body = blockBody("endgeneration");
        end("endgeneration");
        yield body;
      }
      default ->
          throw TemplateException.at(
              keyword.line(), "statement '%s' is not supported", keyword.text());
    };
  }

  private Statement inLoop(final Token keyword, final Statement statement) {
    if (loops == 0) {
      throw TemplateException.at(keyword.line(), "'%s' outside a loop", keyword.text());
    }
    expect(Kind.BLOCK_END);
    return statement;
  }

  /** The statements behind this block, up to one of those named. */
  private List<Statement> blockBody(final String... ends) {
    expect(Kind.BLOCK_END);
    return body(ends);
  }

  private void end(final String keyword) {
    expect(Kind.BLOCK_BEGIN);
    expectWord(keyword);
    expect(Kind.BLOCK_END);
  }

  private Statement conditional() {
    final Expression condition = tuple();
    final List<Statement> then = blockBody("elif", "else", "endif");
    expect(Kind.BLOCK_BEGIN);
    if (skipWord("elif")) {
      return new Statement.If(condition, then, List.of(nested(this::conditional)));
    }
    final List<Statement> otherwise;
    if (skipWord("else")) {
      otherwise = blockBody("endif");
      expect(Kind.BLOCK_BEGIN);
    } else {
      otherwise = List.of();
    }
    expectWord("endif");
    expect(Kind.BLOCK_END);
    return new Statement.If(condition, then, otherwise);
  }

  private Statement loop(final int line) {
    final List<String> targets = new ArrayList<>();
    do {
      targets.add(variable());
    } while (skip(","));
    expectWord("in");
    final Expression items = or();
    final Optional<Expression> condition =
        skipWord("if") ? Optional.of(expression()) : Optional.empty();
    if (next().is(Kind.NAME, "recursive")) {
      throw TemplateException.at(line, "a recursive loop is not supported");
    }
    loops++;
    final List<Statement> body = blockBody("else", "endfor");
    loops--;
    expect(Kind.BLOCK_BEGIN);
    final List<Statement> otherwise;
    if (skipWord("else")) {
      otherwise = blockBody("endfor");
      expect(Kind.BLOCK_BEGIN);
    } else {
      otherwise = List.of();
    }
    expectWord("endfor");
    expect(Kind.BLOCK_END);
    return new Statement.For(List.copyOf(targets), items, condition, body, otherwise, line);
  }

  private Statement assignment() {
    final int line = next().line();
    final String name = variable();
    if (skip(".")) {
      final String member = expect(Kind.NAME).text();
      expectOperator("=");
      final Expression value = tuple();
      expect(Kind.BLOCK_END);
      return new Statement.AssignMember(name, member, value, line);
    }
    if (skip("=")) {
      final Expression value = tuple();
      expect(Kind.BLOCK_END);
      return new Statement.Assign(name, value);
    }
    if (next().kind() != Kind.BLOCK_END) {
      throw unexpected("= or %}");
    }
    final List<Statement> body = blockBody("endset");
    end("endset");
    return new Statement.AssignBlock(name, body);
  }

  private Statement macro() {
    final String name = variable();
    final List<String> parameters = new ArrayList<>();
    final Map<String, Expression> defaults = new LinkedHashMap<>();
    expectOperator("(");
    while (!skip(")")) {
      final String parameter = variable();
      if (parameters.contains(parameter)) {
        throw TemplateException.at(next().line(), "parameter '%s' is there twice", parameter);
      }
      parameters.add(parameter);
      if (skip("=")) {
        defaults.put(parameter, expression());
      } else if (!defaults.isEmpty()) {
        throw unexpected("a default");
      }
      if (!next().is(Kind.OPERATOR, ")")) {
        expectOperator(",");
      }
    }
    final int outside = loops;
    loops = 0;
    final List<Statement> body = blockBody("endmacro");
    loops = outside;
    end("endmacro");
    return new Statement.Macro(name, List.copyOf(parameters), defaults, body);
  }

  private String variable() {
    final Token token = expect(Kind.NAME);
    switch (token.text()) {
      case "true",
          "false",
          "none",
          "True",
          "False",
          "None",
          "loop",
          "caller",
          "varargs",
          "kwargs" ->
          throw TemplateException.at(token.line(), "'%s' cannot be assigned", token.text());
      default -> {}
    }
    return token.text();
  }

  // ---- expressions

  /** An expression where Jinja would take several, with commas between, as a tuple. */
  private Expression tuple() {
    final Expression expression = expression();
    if (next().is(Kind.OPERATOR, ",")) {
      throw TemplateException.at(next().line(), "a tuple is not supported");
    }
    return expression;
  }

  private Expression expression() {
    return nested(
        () -> {
          Expression value = or();
          while (skipWord("if")) {
            final Expression condition = or();
            value =
                new Expression.Conditional(
                    condition,
                    value,
                    skipWord("else") ? Optional.of(expression()) : Optional.empty());
          }
          return value;
        });
  }

  private Expression or() {
    Expression left = and();
    while (skipWord("or")) {
      left = new Expression.Or(left, and());
    }
    return left;
  }

  private Expression and() {
    Expression left = not();
    while (skipWord("and")) {
      left = new Expression.And(left, not());
    }
    return left;
  }

  private Expression not() {
    return skipWord("not") ? new Expression.Not(nested(this::not)) : comparison();
  }

  private Expression comparison() {
    final int line = next().line();
    final Expression first = sum();
    final List<String> operators = new ArrayList<>();
    final List<Expression> others = new ArrayList<>();
    while (true) {
      if (next().kind() == Kind.OPERATOR && COMPARISONS.contains(next().text())) {
        operators.add(take().text());
      } else if (skipWord("in")) {
        operators.add("in");
      } else if (next().is(Kind.NAME, "not") && tokens.get(position + 1).is(Kind.NAME, "in")) {
        take();
        take();
        operators.add("not in");
      } else {
        return operators.isEmpty() ? first : new Expression.Compare(first, operators, others, line);
      }
      others.add(sum());
    }
  }

  private Expression sum() {
    Expression left = concatenation();
    while (nextIsOneOf("+", "-")) {
      final Token operator = take();
      left = new Expression.Binary(operator.text(), left, concatenation(), operator.line());
    }
    return left;
  }

  private Expression concatenation() {
    final Expression first = product();
    if (!nextIsOneOf("~")) {
      return first;
    }
    final List<Expression> parts = new ArrayList<>(List.of(first));
    while (skip("~")) {
      parts.add(product());
    }
    return new Expression.Concatenation(parts);
  }

  private Expression product() {
    Expression left = unary(true);
    while (nextIsOneOf("*", "/", "//", "%", "**")) {
      final Token operator = take();
      if (Set.of("/", "**").contains(operator.text())) {
        throw TemplateException.at(
            operator.line(), "operator '%s' is not supported", operator.text());
      }
      left = new Expression.Binary(operator.text(), left, unary(true), operator.line());
    }
    return left;
  }

  private Expression unary(final boolean filtered) {
    final int line = next().line();
    Expression value;
    if (skip("-")) {
      value = new Expression.Negative(nested(() -> unary(false)), line);
    } else if (nextIsOneOf("+")) {
      throw TemplateException.at(line, "a sign + is not supported");
    } else {
      value = primary();
    }
    value = postfix(value);
    return filtered ? filters(value) : value;
  }

  private Expression primary() {
    final Token token = take();
    return switch (token.kind()) {
      case NAME ->
          switch (token.text()) {
            case "true", "True" -> new Expression.Constant(true);
            case "false", "False" -> new Expression.Constant(false);
            case "none", "None" -> new Expression.Constant(None.NONE);
            default -> new Expression.Name(token.text());
          };
      case STRING -> {
        final StringBuilder text = new StringBuilder(token.text());
        while (next().kind() == Kind.STRING) {
          text.append(take().text());
        }
        yield new Expression.Constant(text.toString());
      }
      case INTEGER -> new Expression.Constant(Long.parseLong(token.text()));
      case OPERATOR ->
          switch (token.text()) {
            case "(" -> {
              if (nextIsOneOf(")")) {
                throw TemplateException.at(token.line(), "a tuple is not supported");
              }
              final Expression inner = tuple();
              expectOperator(")");
              yield inner;
            }
            case "[" -> new Expression.ListOf(nested(() -> list("]")));
            case "{" -> nested(this::map);
            default -> throw unexpected(token, "a value");
          };
      default -> throw unexpected(token, "a value");
    };
  }

  private List<Expression> list(final String end) {
    final List<Expression> items = new ArrayList<>();
    while (!skip(end)) {
      items.add(expression());
      if (!nextIsOneOf(end)) {
        expectOperator(",");
      }
    }
    return items;
  }

  private Expression map() {
    final List<Expression> keys = new ArrayList<>();
    final List<Expression> values = new ArrayList<>();
    while (!skip("}")) {
      keys.add(expression());
      expectOperator(":");
      values.add(expression());
      if (!nextIsOneOf("}")) {
        expectOperator(",");
      }
    }
    return new Expression.MapOf(keys, values);
  }

  private Expression postfix(final Expression object) {
    Expression value = object;
    while (true) {
      final int line = next().line();
      if (skip(".")) {
        final Token name = take();
        value =
            switch (name.kind()) {
              case NAME -> new Expression.Attribute(value, name.text(), line);
              case INTEGER ->
                  new Expression.Item(
                      value, new Expression.Constant(Long.parseLong(name.text())), line);
              default -> throw unexpected(name, "a name");
            };
      } else if (skip("[")) {
        value = subscript(value, line);
      } else if (nextIsOneOf("(")) {
        value = call(value);
      } else {
        return value;
      }
    }
  }

  private Expression call(final Expression function) {
    final int line = next().line();
    if (function instanceof Expression.Attribute method && !Methods.NAMES.contains(method.name())) {
      throw TemplateException.at(line, "method '%s' is not supported", method.name());
    }
    return new Expression.Call(function, nested(this::arguments), line);
  }

  private Expression subscript(final Expression object, final int line) {
    final Optional<Expression> start = bound();
    if (!skip(":")) {
      if (start.isEmpty()) {
        throw unexpected("an index");
      }
      if (nextIsOneOf(",")) {
        throw TemplateException.at(line, "a tuple is not supported");
      }
      expectOperator("]");
      return new Expression.Item(object, start.get(), line);
    }
    final Optional<Expression> stop = bound();
    final Optional<Expression> step = skip(":") ? bound() : Optional.empty();
    expectOperator("]");
    return new Expression.SliceOf(object, start, stop, step, line);
  }

  private Optional<Expression> bound() {
    return nextIsOneOf(":", "]") ? Optional.empty() : Optional.of(expression());
  }

  private Arguments arguments() {
    expectOperator("(");
    final List<Expression> positional = new ArrayList<>();
    final Map<String, Expression> named = new LinkedHashMap<>();
    while (!skip(")")) {
      if (next().kind() == Kind.NAME && tokens.get(position + 1).is(Kind.OPERATOR, "=")) {
        final Token name = take();
        take();
        if (named.put(name.text(), expression()) != null) {
          throw TemplateException.at(name.line(), "argument '%s' is there twice", name.text());
        }
      } else if (named.isEmpty()) {
        positional.add(expression());
      } else {
        throw unexpected("a named argument");
      }
      if (!nextIsOneOf(")")) {
        expectOperator(",");
      }
    }
    return new Arguments(positional, named);
  }

  private Expression filters(final Expression object) {
    Expression value = object;
    while (true) {
      final int line = next().line();
      if (skip("|")) {
        final String name = supported("filter", expect(Kind.NAME), Filters.NAMES);
        value = new Expression.Filter(name, value, optionalArguments(), line);
      } else if (skipWord("is")) {
        value = test(value, line);
      } else if (nextIsOneOf("(")) {
        value = call(value);
      } else {
        return value;
      }
    }
  }

  private Expression test(final Expression value, final int line) {
    final boolean negated = skipWord("not");
    final String name = supported("test", expect(Kind.NAME), Tests.NAMES);
    if (next().is(Kind.NAME, "is")) {
      throw TemplateException.at(line, "tests in a row have no meaning; put 'and' between them");
    }
    final Arguments arguments =
        startsArgument()
            ? new Arguments(List.of(postfix(nested(this::primary))), Map.of())
            : optionalArguments();
    final Expression test = new Expression.Test(name, value, arguments, line);
    return negated ? new Expression.Not(test) : test;
  }

  /** An argument may follow a test without parentheses, as in {@code x is divisibleby 3}. */
  private boolean startsArgument() {
    return switch (next().kind()) {
      case STRING, INTEGER -> true;
      case NAME -> !Set.of("else", "or", "and").contains(next().text());
      case OPERATOR -> nextIsOneOf("[", "{");
      default -> false;
    };
  }

  private Arguments optionalArguments() {
    return nextIsOneOf("(") ? nested(this::arguments) : Arguments.NONE;
  }

  private static String supported(final String kind, final Token name, final Set<String> names) {
    if (!names.contains(name.text())) {
      throw TemplateException.at(name.line(), "%s '%s' is not supported", kind, name.text());
    }
    return name.text();
  }

  // ---- tokens

  private <T> T nested(final Supplier<T> part) {
    if (++depth > MAX_DEPTH) {
      throw TemplateException.at(next().line(), "nested more than %d deep", MAX_DEPTH);
    }
    final T result = part.get();
    depth--;
    return result;
  }

  private Token next() {
    return tokens.get(position);
  }

  private Token take() {
    final Token token = tokens.get(position);
    if (token.kind() == Kind.END) {
      throw unexpected("more");
    }
    position++;
    return token;
  }

  private boolean nextIsOneOf(final String... operators) {
    return next().kind() == Kind.OPERATOR && List.of(operators).contains(next().text());
  }

  private boolean skip(final String operator) {
    final boolean found = next().is(Kind.OPERATOR, operator);
    position += found ? 1 : 0;
    return found;
  }

  private boolean skipWord(final String word) {
    final boolean found = next().is(Kind.NAME, word);
    position += found ? 1 : 0;
    return found;
  }

  private Token expect(final Kind kind) {
    if (next().kind() != kind) {
      throw unexpected(kind.name().toLowerCase(Locale.ROOT).replace('_', ' '));
    }
    return take();
  }

  private void expectOperator(final String operator) {
    if (!skip(operator)) {
      throw unexpected("'" + operator + "'");
    }
  }

  private void expectWord(final String word) {
    if (!skipWord(word)) {
      throw unexpected("'" + word + "'");
    }
  }

  private TemplateException unexpected(final String expected) {
    return unexpected(next(), expected);
  }

  private static TemplateException unexpected(final Token token, final String expected) {
    return TemplateException.at(token.line(), "%s where %s is expected", token, expected);
  }
}
