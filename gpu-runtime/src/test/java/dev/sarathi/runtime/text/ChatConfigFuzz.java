package dev.sarathi.runtime.text;

import dev.sarathi.runtime.fuzz.ScratchFile;
import dev.sarathi.runtime.text.jinja.TemplateException;
import java.util.List;

/** A {@code tokenizer_config.json}, its chat template rendered. */
public final class ChatConfigFuzz {
  private static final ScratchFile FILE = new ScratchFile("tokenizer_config.json");
  private static final List<ChatTemplate.Message> MESSAGES =
      List.of(
          new ChatTemplate.Message("system", "Be brief"),
          new ChatTemplate.Message("user", "{{ Who? }}"));

  private ChatConfigFuzz() {}

  public static void fuzzerTestOneInput(final byte[] input) {
    FILE.write(input);
    try {
      ChatTemplate.open(FILE.directory()).ifPresent(ChatConfigFuzz::render);
    } catch (final TokenizerException e) {
      FILE.mustBeNamedBy(e);
    }
  }

  private static void render(final ChatTemplate template) {
    try {
      template.render(MESSAGES);
    } catch (final TemplateException e) {
      // The template's own error, or a use of it that is none.
    }
  }
}
