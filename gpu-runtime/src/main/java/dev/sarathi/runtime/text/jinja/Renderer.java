package dev.sarathi.runtime.text.jinja;

import dev.sarathi.runtime.text.jinja.Expression.Arguments;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** One rendering: walks the statements and evaluates their expressions. Used by one thread. */
final class Renderer {
  private enum Flow {
    NEXT,
    BREAK,
    CONTINUE
  }

  /** The variables of a block, and around it those of the blocks that it is in. */
  private record Scope(Map<String, Object> variables, Optional<Scope> outer, int loops) {
    Scope inner(final int moreLoops) {
      return new Scope(new HashMap<>(), Optional.of(this), loops + moreLoops);
    }

    Object get(final String name) {
      for (Optional<Scope> scope = Optional.of(this);
          scope.isPresent();
          scope = scope.get().outer()) {
        final Object value = scope.get().variables().get(name);
        if (value != null) {
          return value;
        }
      }
      return new Undefined("'" + name + "' is undefined");
    }
  }

  private final Budget budget = new Budget();
  private final Values values = new Values(budget);
  private final Filters filters = new Filters(values, budget);
  private final Tests tests = new Tests(values);
  private final Scope global = new Scope(new HashMap<>(), Optional.empty(), 0);

  Renderer(final Map<String, ?> variables) {
    global.variables().put("range", (Callable) this::range);
    global.variables().put("namespace", (Callable) this::namespace);
    global.variables().put("dict", (Callable) this::dict);
    global.variables().put("raise_exception", (Callable) this::raise);
    variables.forEach(
        (name, value) ->
            global.variables().put(name, value instanceof Optional<?> ? None.NONE : value));
  }

  String render(final List<Statement> statements) {
    final StringBuilder output = new StringBuilder();
    run(statements, global.inner(0), output);
    return output.toString();
  }

  // ---- statements

  private Flow run(
      final List<Statement> statements, final Scope scope, final StringBuilder output) {
    budget.enter();
    for (final Statement statement : statements) {
      final Flow flow = run(statement, scope, output);
      if (flow != Flow.NEXT) {
        budget.leave();
        return flow;
      }
    }
    budget.leave();
    return Flow.NEXT;
  }

  private Flow run(final Statement statement, final Scope scope, final StringBuilder output) {
    budget.step();
    switch (statement) {
      case Statement.Data data -> write(data.text(), output);
      case Statement.Output out ->
          write(
              TemplateException.at(out.line(), () -> Values.text(value(out.value(), scope))),
              output);
      case Statement.If choice -> {
        return run(
            Values.truth(value(choice.condition(), scope)) ? choice.then() : choice.otherwise(),
            scope,
            output);
      }
      case Statement.For loop -> {
        return loop(loop, scope, output);
      }
      case Statement.Assign assign ->
          scope.variables().put(assign.name(), value(assign.value(), scope));
      case Statement.AssignBlock assign -> {
        final StringBuilder text = new StringBuilder();
        final Flow flow = run(assign.body(), scope.inner(0), text);
        scope.variables().put(assign.name(), text.toString());
        return flow;
      }
      case Statement.AssignMember assign -> assign(assign, scope);
      case Statement.Macro macro -> scope.variables().put(macro.name(), callable(macro, scope));
      case Statement.Break leave -> {
        return Flow.BREAK;
      }
      case Statement.Continue skip -> {
        return Flow.CONTINUE;
      }
    }
    return Flow.NEXT;
  }

  private void write(final String text, final StringBuilder output) {
    budget.characters(text.length());
    budget.length((long) output.length() + text.length());
    output.append(text);
  }

  private void assign(final Statement.AssignMember assign, final Scope scope) {
    if (!(scope.get(assign.namespace()) instanceof Namespace namespace)) {
      throw TemplateException.at(assign.line(), "'%s' is no namespace", assign.namespace());
    }
    namespace.set(assign.member(), value(assign.value(), scope));
  }

  private Flow loop(final Statement.For loop, final Scope scope, final StringBuilder output) {
    List<Object> items =
        TemplateException.at(loop.line(), () -> values.items(value(loop.items(), scope)));
    if (loop.condition().isPresent()) {
      final List<Object> chosen = new ArrayList<>();
      for (final Object item : items) {
        final Scope each = scope.inner(0);
        bind(loop, item, each);
        if (Values.truth(value(loop.condition().get(), each))) {
          chosen.add(item);
        }
      }
      items = chosen;
    }
    if (items.isEmpty()) {
      return run(loop.otherwise(), scope.inner(0), output);
    }
    for (int i = 0; i < items.size(); i++) {
      final Scope each = scope.inner(1);
      each.variables().put("loop", new Loop(items, i, each.loops()));
      bind(loop, items.get(i), each);
      if (run(loop.body(), each, output) == Flow.BREAK) {
        break;
      }
    }
    return Flow.NEXT;
  }

  private void bind(final Statement.For loop, final Object item, final Scope scope) {
    if (loop.targets().size() == 1) {
      scope.variables().put(loop.targets().getFirst(), item);
      return;
    }
    final List<Object> parts = TemplateException.at(loop.line(), () -> values.items(item));
    if (parts.size() != loop.targets().size()) {
      throw TemplateException.at(
          loop.line(), "%d values for the names %s", parts.size(), loop.targets());
    }
    for (int i = 0; i < parts.size(); i++) {
      scope.variables().put(loop.targets().get(i), parts.get(i));
    }
  }

  private Callable callable(final Statement.Macro macro, final Scope scope) {
    return (positional, named) -> {
      final Scope inner = new Scope(new HashMap<>(), Optional.of(scope), 0);
      if (positional.size() > macro.parameters().size()
          || !Set.copyOf(macro.parameters()).containsAll(named.keySet())) {
        throw new TemplateException(
            "macro '%s' has %d arguments and the named ones %s; it takes %s"
                .formatted(macro.name(), positional.size(), named.keySet(), macro.parameters()));
      }
      for (int i = 0; i < macro.parameters().size(); i++) {
        final String parameter = macro.parameters().get(i);
        final Object argument = i < positional.size() ? positional.get(i) : named.get(parameter);
        final Expression absent = macro.defaults().get(parameter);
        inner
            .variables()
            .put(
                parameter,
                argument != null
                    ? argument
                    : absent != null
                        ? value(absent, inner)
                        : new Undefined("parameter '" + parameter + "' was not given"));
      }
      final StringBuilder text = new StringBuilder();
      run(macro.body(), inner, text);
      return text.toString();
    };
  }

  // ---- expressions

  private Object value(final Expression expression, final Scope scope) {
    budget.enter();
    final Object value = evaluate(expression, scope);
    budget.leave();
    return value;
  }

  private Object evaluate(final Expression expression, final Scope scope) {
    return switch (expression) {
      case Expression.Constant constant -> constant.value();
      case Expression.Name name -> scope.get(name.name());
      case Expression.ListOf list -> all(list.items(), scope);
      case Expression.MapOf map -> map(map, scope);
      case Expression.Attribute attribute -> {
        final Object object = value(attribute.object(), scope);
        yield TemplateException.at(
            attribute.line(), () -> values.attribute(object, attribute.name()));
      }
      case Expression.Item item -> {
        final Object object = value(item.object(), scope);
        final Object key = value(item.key(), scope);
        yield TemplateException.at(item.line(), () -> values.item(object, key));
      }
      case Expression.SliceOf slice -> {
        final Object object = value(slice.object(), scope);
        final Object start = bound(slice.start(), scope);
        final Object stop = bound(slice.stop(), scope);
        final Object step = bound(slice.step(), scope);
        yield TemplateException.at(slice.line(), () -> values.slice(object, start, stop, step));
      }
      case Expression.Call call -> call(call, scope);
      case Expression.Filter filter -> {
        final Object value = value(filter.value(), scope);
        final List<Object> positional = all(filter.arguments().positional(), scope);
        final Map<String, Object> named = named(filter.arguments(), scope);
        yield TemplateException.at(
            filter.line(), () -> filters.filter(filter.name(), value, positional, named));
      }
      case Expression.Test test -> test(test, scope);
      case Expression.Binary binary -> {
        final Object left = value(binary.left(), scope);
        final Object right = value(binary.right(), scope);
        yield TemplateException.at(
            binary.line(), () -> values.arithmetic(binary.operator(), left, right));
      }
      case Expression.Negative negative -> {
        final Object value = value(negative.value(), scope);
        yield TemplateException.at(negative.line(), () -> values.arithmetic("-", 0L, value));
      }
      case Expression.Not not -> !Values.truth(value(not.value(), scope));
      case Expression.And and -> {
        final Object left = value(and.left(), scope);
        yield Values.truth(left) ? value(and.right(), scope) : left;
      }
      case Expression.Or or -> {
        final Object left = value(or.left(), scope);
        yield Values.truth(left) ? left : value(or.right(), scope);
      }
      case Expression.Compare compare -> compare(compare, scope);
      case Expression.Concatenation concatenation -> concatenate(concatenation, scope);
      case Expression.Conditional conditional -> {
        if (Values.truth(value(conditional.condition(), scope))) {
          yield value(conditional.then(), scope);
        }
        yield conditional.otherwise().isPresent()
            ? value(conditional.otherwise().get(), scope)
            : new Undefined("an inline if without else has no value here");
      }
    };
  }

  private Object bound(final Optional<Expression> bound, final Scope scope) {
    return bound.isPresent() ? value(bound.get(), scope) : None.NONE;
  }

  private List<Object> all(final List<Expression> expressions, final Scope scope) {
    final List<Object> all = new ArrayList<>(expressions.size());
    for (final Expression expression : expressions) {
      all.add(value(expression, scope));
    }
    return all;
  }

  private Map<String, Object> named(final Arguments arguments, final Scope scope) {
    final Map<String, Object> named = new LinkedHashMap<>();
    arguments.named().forEach((name, expression) -> named.put(name, value(expression, scope)));
    return named;
  }

  private Object map(final Expression.MapOf map, final Scope scope) {
    final Map<String, Object> result = new LinkedHashMap<>();
    for (int i = 0; i < map.keys().size(); i++) {
      result.put(Values.key(value(map.keys().get(i), scope)), value(map.values().get(i), scope));
    }
    return result;
  }

  private Object call(final Expression.Call call, final Scope scope) {
    final Object function = value(call.function(), scope);
    if (!(function instanceof Callable callable)) {
      if (call.function() instanceof Expression.Name name && name.name().equals("strftime_now")) {
        throw TemplateException.at(
            call.line(),
            "strftime_now is not supported: it reads the clock, and a prompt must be the same when it is replayed");
      }
      throw TemplateException.at(call.line(), "%s", Values.wrong(function, "a call").getMessage());
    }
    final List<Object> positional = all(call.arguments().positional(), scope);
    final Map<String, Object> named = named(call.arguments(), scope);
    return TemplateException.at(call.line(), () -> callable.call(positional, named));
  }

  private boolean test(final Expression.Test test, final Scope scope) {
    final Object value = value(test.value(), scope);
    if (!test.arguments().named().isEmpty()) {
      throw TemplateException.at(test.line(), "a named argument of a test is not supported");
    }
    final List<Object> arguments = all(test.arguments().positional(), scope);
    return TemplateException.at(test.line(), () -> tests.test(test.name(), value, arguments));
  }

  private boolean compare(final Expression.Compare compare, final Scope scope) {
    Object left = value(compare.first(), scope);
    for (int i = 0; i < compare.operators().size(); i++) {
      final Object first = left;
      final Object second = value(compare.others().get(i), scope);
      final String operator = compare.operators().get(i);
      if (!TemplateException.at(compare.line(), () -> holds(first, operator, second))) {
        return false;
      }
      left = second;
    }
    return true;
  }

  private boolean holds(final Object left, final String operator, final Object right) {
    return switch (operator) {
      case "==" -> values.equal(left, right);
      case "!=" -> !values.equal(left, right);
      case "in" -> values.contains(right, left);
      case "not in" -> !values.contains(right, left);
      case "<" -> values.compare(left, right, operator) < 0;
      case "<=" -> values.compare(left, right, operator) <= 0;
      case ">" -> values.compare(left, right, operator) > 0;
      default -> values.compare(left, right, operator) >= 0;
    };
  }

  private String concatenate(final Expression.Concatenation concatenation, final Scope scope) {
    final StringBuilder text = new StringBuilder();
    for (final Expression part : concatenation.parts()) {
      write(Values.text(value(part, scope)), text);
    }
    return text.toString();
  }

  // ---- functions

  private Object range(final List<Object> positional, final Map<String, Object> named) {
    if (!named.isEmpty() || positional.isEmpty() || positional.size() > 3) {
      throw new TemplateException("range takes one to three numbers");
    }
    final long[] numbers =
        positional.stream().mapToLong(value -> Values.number(value, "range")).toArray();
    final long start = numbers.length == 1 ? 0 : numbers[0];
    final long stop = numbers.length == 1 ? numbers[0] : numbers[1];
    final long step = numbers.length == 3 ? numbers[2] : 1;
    if (step == 0) {
      throw new TemplateException("range has the step 0");
    }
    final List<Object> range = new ArrayList<>();
    try {
      final long length = Math.ceilDiv(Math.subtractExact(stop, start), step);
      budget.items(length);
      for (long i = 0; i < length; i++) {
        range.add(start + i * step);
      }
    } catch (final ArithmeticException e) {
      throw new TemplateException("range from %d to %d is too long".formatted(start, stop));
    }
    return range;
  }

  private Object namespace(final List<Object> positional, final Map<String, Object> named) {
    return new Namespace(members("namespace", positional, named));
  }

  private Object dict(final List<Object> positional, final Map<String, Object> named) {
    return members("dict", positional, named);
  }

  private static Map<String, Object> members(
      final String function, final List<Object> positional, final Map<String, Object> named) {
    if (!positional.isEmpty()) {
      throw new TemplateException(function + " with an argument without a name is not supported");
    }
    return named;
  }

  private Object raise(final List<Object> positional, final Map<String, Object> named) {
    if (positional.size() != 1 || !named.isEmpty()) {
      throw new TemplateException("raise_exception takes one message");
    }
    throw TemplateException.raised(Values.text(positional.getFirst()));
  }
}
