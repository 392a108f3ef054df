package dev.sarathi.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.sarathi.runtime.text.ChatTemplate;
import dev.sarathi.runtime.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChatPromptTest {
  private static final Path STORYTELLER = Path.of("src/test/resources/tokenizer/storyteller");

  @TempDir private Path directory;
  private final Tokenizer tokenizer = Tokenizer.open(STORYTELLER);
  private LoadedModel model;

  @BeforeEach
  void open() throws IOException {
    Files.writeString(
        directory.resolve("tokenizer_config.json"),
        """
        {"bos_token": "<s>", "chat_template": "{{ bos_token }}{% for m in messages %}\
        {% if m.role != 'user' %}{{ raise_exception('only users speak') }}{% endif %}\
        {{ m.content }}{% endfor %}"}
        """);
    model = model(ChatTemplate.open(directory));
  }

  @AfterEach
  void close() {
    tokenizer.close();
  }

  @Test
  void shouldEncodeAConversationWithTheSpecialTokensOfItsTemplateAlone() {
    assertThat(model.encode(chat("user", "Once upon a time")))
        .isEqualTo(tokenizer.encode("Once upon a time"))
        .startsWith(tokenizer.id("<s>").orElseThrow());
  }

  @Test
  void shouldPassOnWhatTheTemplateRefuses() {
    assertThatExceptionOfType(InvalidRequestException.class)
        .isThrownBy(() -> model.encode(chat("assistant", "I speak")))
        .withMessage("messages: only users speak")
        .returns("messages", InvalidRequestException::field);
  }

  @Test
  void shouldRefuseAConversationWithoutMessages() {
    assertThatExceptionOfType(InvalidRequestException.class)
        .isThrownBy(() -> model.encode(new Prompt.Chat(List.of())))
        .withMessage("messages: is empty");
  }

  @Test
  void shouldRefuseAConversationWhereTheModelHasNoTemplate() {
    assertThatExceptionOfType(InvalidRequestException.class)
        .isThrownBy(() -> model(Optional.empty()).encode(chat("user", "Hello")))
        .withMessage("messages: model tiny has no chat template; send prompt or token_ids");
  }

  private static Prompt chat(final String role, final String content) {
    return new Prompt.Chat(List.of(new ChatMessage(role, content)));
  }

  private LoadedModel model(final Optional<ChatTemplate> template) {
    return new LoadedModel(
        "tiny",
        "f",
        256,
        898,
        OptionalInt.empty(),
        Set.of(2),
        Optional.of(tokenizer),
        template,
        new ScriptedExecutor(1, (sequence, index) -> 3));
  }
}
