package dev.sarathi.runtime.text.jinja;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A template, and after a 0 each the contents of the messages, of users and assistants in turn. */
public final class TemplateFuzz {
  private TemplateFuzz() {}

  public static void fuzzerTestOneInput(final byte[] input) {
    final String[] parts = new String(input, StandardCharsets.UTF_8).split("\0", -1);
    final List<Map<String, String>> messages = new ArrayList<>();
    for (int i = 1; i < parts.length; i++) {
      messages.add(Map.of("role", i % 2 == 1 ? "user" : "assistant", "content", parts[i]));
    }
    final Map<String, Object> variables =
        Map.of("messages", messages, "bos_token", "<s>", "add_generation_prompt", true);
    final Template template;
    try {
      template = Template.parse(parts[0]);
    } catch (final TemplateException e) {
      if (!e.getMessage().startsWith("line ")) {
        throw new AssertionError("an error without its line", e);
      }
      return;
    }
    if (!rendered(template, variables).equals(rendered(template, variables))) {
      throw new AssertionError("two renderings differ");
    }
  }

  private static String rendered(final Template template, final Map<String, Object> variables) {
    try {
      return template.render(variables);
    } catch (final TemplateException e) {
      return "refused: " + e.getMessage();
    }
  }
}
