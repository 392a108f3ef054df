package dev.sarathi.runtime;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.runtime.text.ChatTemplate;
import dev.sarathi.runtime.text.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/** A model without weights, whose tokens are the bytes of UTF-8. */
final class TestEngineModel {
  private static final String TOKENIZER = "tokenizer.json";
  private static final String CHAT_TEMPLATE = "chat_template.jinja";

  private TestEngineModel() {}

  static LoadedModel on(final TestEngineExecutor executor) {
    try {
      final Path folder = Files.createTempDirectory("test-engine");
      try {
        Files.writeString(folder.resolve(TOKENIZER), tokenizer());
        Files.writeString(
            folder.resolve(CHAT_TEMPLATE),
            "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
                + "assistant:");
        return new LoadedModel(
            "test-engine",
            "test-engine",
            TestEngineExecutor.CONTEXT,
            TestEngineExecutor.END + 1,
            OptionalInt.empty(),
            Set.of(TestEngineExecutor.END),
            Optional.of(Tokenizer.open(folder)),
            ChatTemplate.open(folder),
            executor);
      } finally {
        for (final String file : List.of(TOKENIZER, CHAT_TEMPLATE)) {
          Files.deleteIfExists(folder.resolve(file));
        }
        Files.delete(folder);
      }
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String tokenizer() throws IOException {
    final Map<String, Object> bytes =
        Map.of(
            "type",
            "ByteLevel",
            "add_prefix_space",
            false,
            "trim_offsets",
            true,
            "use_regex",
            false);
    return new ObjectMapper()
        .writeValueAsString(
            Map.of(
                "version",
                "1.0",
                "added_tokens",
                List.of(
                    Map.of(
                        "id", TestEngineExecutor.END,
                        "content", "<|end|>",
                        "special", true,
                        "single_word", false,
                        "lstrip", false,
                        "rstrip", false,
                        "normalized", false)),
                "pre_tokenizer",
                bytes,
                "decoder",
                bytes,
                "model",
                Map.of("type", "BPE", "vocab", vocabulary(), "merges", List.of())));
  }

  /** Byte-level tokenizers write printable bytes as themselves, and the others from U+0100 on. */
  private static Map<String, Integer> vocabulary() {
    final Map<String, Integer> ids = new LinkedHashMap<>();
    int unprintable = 0;
    for (int value = 0; value < 256; value++) {
      final boolean printable = value > ' ' && value < 0x7F || value > 0xA0 && value != 0xAD;
      ids.put(Character.toString(printable ? value : 0x100 + unprintable++), value);
    }
    return ids;
  }
}
