package dev.sarathi.runtime.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.junit.jupiter.api.Assertions.assertAll;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sarathi.runtime.text.ChatTemplate.Message;
import dev.sarathi.runtime.text.jinja.TemplateException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ChatTemplateTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final List<Message> HELLO = List.of(new Message("user", "Hello"));

  @TempDir private Path directory;

  /** The reference is made by src/test/python/chat_templates.py. */
  @TestFactory
  Stream<DynamicTest> shouldRenderWhatTransformersRenders() throws Exception {
    final JsonNode reference = JSON.readTree(resource("rendered.json").toFile());
    assertThat(reference.path("templates").size()).isGreaterThan(10);
    return reference
        .path("templates")
        .valueStream()
        .map(
            template ->
                DynamicTest.dynamicTest(
                    template.path("name").asText(),
                    () -> assertRendered(template, reference.path("conversations"))));
  }

  private void assertRendered(final JsonNode template, final JsonNode conversations)
      throws Exception {
    // given
    final String source = Files.readString(resource(template.path("name").asText() + ".jinja"));
    final ObjectNode config = template.path("tokens").deepCopy();
    config.put("chat_template", source);
    final ChatTemplate chat = open(config.toString());

    // then
    assertAll(
        template
            .path("rendered")
            .propertyStream()
            .map(
                rendered ->
                    () -> {
                      final List<Message> messages =
                          messages(conversations.path(rendered.getKey()));
                      final JsonNode expected = rendered.getValue();
                      if (expected.has("text")) {
                        assertThat(chat.render(messages))
                            .as(rendered.getKey())
                            .isEqualTo(expected.path("text").asText());
                      } else {
                        assertThatExceptionOfType(TemplateException.class)
                            .as(rendered.getKey())
                            .isThrownBy(() -> chat.render(messages));
                      }
                    }));
  }

  @Test
  void shouldGiveTheTemplatesOwnWordsForItsError() {
    write("tokenizer_config.json", "{\"chat_template\": \"{{ raise_exception('Roles! ' ~ 1) }}\"}");

    assertThatExceptionOfType(TemplateException.class)
        .isThrownBy(() -> ChatTemplate.open(directory).orElseThrow().render(HELLO))
        .withMessage("Roles! 1");
  }

  @Test
  void shouldHaveNoTemplateWhereTheModelHasNone() {
    assertThat(ChatTemplate.open(directory)).isEmpty();
    write("tokenizer_config.json", "{\"bos_token\": \"<s>\", \"chat_template\": null}");
    assertThat(ChatTemplate.open(directory)).isEmpty();
  }

  @Test
  void shouldTakeTheDefaultOfSeveralTemplates() {
    final ChatTemplate template =
        open(
            """
            {"chat_template": [{"name": "tool_use", "template": "{% tools %}"},
              {"name": "default", "template": "{{ messages[0].content }}"}]}
            """);

    assertThat(template.render(HELLO)).isEqualTo("Hello");
  }

  @Test
  void shouldPreferTheTemplateThatHasAFileOfItsOwn() {
    write("chat_template.jinja", "{{ bos_token }}from the file\n");

    assertThat(
            open("{\"bos_token\": \"<s>\", \"chat_template\": \"from the config\"}").render(HELLO))
        .isEqualTo("<s>from the file");
  }

  @Test
  void shouldKnowSpecialTokensHoweverTheyAreWritten() {
    final ChatTemplate template =
        open(
            """
            {"bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": false},
             "eos_token": "</s>", "pad_token": null,
             "chat_template": "{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ unk_token is defined }}"}
            """);

    assertThat(template.render(HELLO)).isEqualTo("<s></s>False");
  }

  @Test
  void shouldNotReadTheClock() {
    assertThat(open("{\"chat_template\": \"{{ strftime_now is defined }}\"}").render(HELLO))
        .isEqualTo("False");

    assertThatExceptionOfType(TemplateException.class)
        .isThrownBy(
            () -> open("{\"chat_template\": \"a\\n{{ strftime_now('%Y') }}\"}").render(HELLO))
        .withMessageStartingWith("line 2: strftime_now is not supported: it reads the clock");
  }

  @Test
  void shouldServeSeveralThreads() throws Exception {
    write("chat_template.jinja", Files.readString(resource("qwen3.jinja")));
    final ChatTemplate template = ChatTemplate.open(directory).orElseThrow();
    final List<Message> messages =
        IntStream.range(0, 51)
            .mapToObj(i -> new Message(i % 2 == 0 ? "user" : "assistant", "turn " + i))
            .toList();
    final String expected = template.render(messages);

    assertThat(IntStream.range(0, 200).parallel().mapToObj(i -> template.render(messages)))
        .containsOnly(expected);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "[]                              | not a JSON object",
        "``                              | not a JSON object",
        "{                               | not JSON (line 1)",
        "{\"a\": NaN}                    | not JSON (line 1)",
        "{\"a\": 1, \"a\": 2}            | Duplicate field 'a'",
        "{} {}                           | not JSON (line 1)",
        "{\"chat_template\": 7}          | chat_template is neither",
        "{\"chat_template\": []}         | chat_template is neither",
        "{\"chat_template\": {}}         | chat_template is neither",
        "{\"chat_template\": [null, {\"name\": \"default\"}]} | chat_template is neither",
        "{\"chat_template\": \"\", \"bos_token\": 1}  | bos_token is 1; supported",
        "{\"chat_template\": \"\", \"eos_token\": {\"content\": []}} | eos_token is",
        "{\"chat_template\": \"x\\n{% include 'a' %}\"} | chat_template: line 2: statement 'include' is not supported; a model directory without",
      })
  void shouldNameWhatIsWrong(final String config, final String reason) {
    write("tokenizer_config.json", config);

    assertRefused("tokenizer_config.json", reason);
  }

  @Test
  void shouldRefuseDeepNesting() {
    write("tokenizer_config.json", "{\"a\":" + "[".repeat(100_000));

    assertRefused("tokenizer_config.json", "nesting depth");
  }

  @Test
  void shouldRefuseWhatIsNoFile() throws IOException {
    final Path file = directory.resolve("chat_template.jinja");
    Files.createDirectory(file);
    assertRefused("chat_template.jinja", "not a regular file");
    Files.delete(file);
    Files.createSymbolicLink(file, file);
    assertRefused("chat_template.jinja", "");
    Files.delete(file);
    Files.createSymbolicLink(file, Path.of("/dev/zero"));
    assertRefused("chat_template.jinja", "not a regular file");
    Files.delete(file);
    Files.writeString(file, " ".repeat((1 << 20) + 1));
    assertRefused("chat_template.jinja", "1,048,577 bytes; at most 1,048,576 are read");
    Files.write(file, new byte[] {(byte) 0xC3});
    assertRefused("chat_template.jinja", "not UTF-8");
  }

  private void assertRefused(final String file, final String reason) {
    assertThatExceptionOfType(TokenizerException.class)
        .isThrownBy(() -> ChatTemplate.open(directory))
        .withMessageStartingWith(directory.resolve(file) + ": ")
        .withMessageContaining(reason);
  }

  private ChatTemplate open(final String config) {
    write("tokenizer_config.json", config);
    return ChatTemplate.open(directory).orElseThrow();
  }

  private void write(final String file, final String text) {
    try {
      Files.writeString(directory.resolve(file), text);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static List<Message> messages(final JsonNode turns) {
    assertThat(turns).isNotEmpty();
    return turns
        .valueStream()
        .map(turn -> new Message(turn.path(0).asText(), turn.path(1).asText()))
        .toList();
  }

  private static Path resource(final String name) throws URISyntaxException {
    return Path.of(ChatTemplateTest.class.getResource("/chat/" + name).toURI());
  }
}
