package dev.sarathi.runtime.text.jinja;

import java.util.List;
import java.util.Map;

/**
 * A parsed template.
 *
 * <p>Threading: immutable; any number of threads may render at once.
 */
public final class Template {
  private final List<Statement> statements;

  private Template(final List<Statement> statements) {
    this.statements = statements;
  }

  /**
   * Parses a template.
   *
   * @throws TemplateException naming the line and what is wrong there or not supported
   */
  public static Template parse(final String source) {
    return new Template(Parser.parse(source));
  }

  /**
   * Renders the template.
   *
   * @param variables strings, {@link Long}s, {@link Boolean}s, an empty {@link java.util.Optional}
   *     for none, lists of strings and the like, and maps from strings to such; none are changed
   * @throws TemplateException if the template raises an error, misuses a value, or takes more work
   *     or memory than any template needs
   */
  public String render(final Map<String, ?> variables) {
    return new Renderer(variables).render(statements);
  }
}
