package dev.sarathi.runtime.text;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.sarathi.runtime.text.jinja.Template;
import dev.sarathi.runtime.text.jinja.TemplateException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How a model wants a conversation written down, as its {@code chat_template.jinja} or the {@code
 * chat_template} of its {@code tokenizer_config.json} says. What is rendered is, byte for byte,
 * what {@code apply_chat_template} of Hugging Face's transformers renders, but for one thing:
 * {@code strftime_now} is not defined, because a prompt must be the same when it is replayed.
 * Templates that ask whether it is (Llama 3.2) fall back to a date of their own.
 *
 * <p>Threading: immutable; any number of threads may use one instance.
 */
public final class ChatTemplate {
  private static final long MAX_BYTES = 16 << 20;
  private static final int MAX_TEMPLATE = 1 << 20;
  private static final List<String> SPECIAL_TOKENS =
      List.of(
          "bos_token",
          "eos_token",
          "unk_token",
          "sep_token",
          "pad_token",
          "cls_token",
          "mask_token");
  private static final ObjectMapper MAPPER =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  /** What somebody has said; the content is never read as template language. */
  public record Message(String role, String content) {}

  private final Template template;
  private final Map<String, Object> variables;

  private ChatTemplate(final Template template, final Map<String, Object> variables) {
    this.template = template;
    this.variables = variables;
  }

  /**
   * Opens the chat template of a model; empty if it has none.
   *
   * @throws TokenizerException when a file is damaged, or when the template uses what is not
   *     supported; the message names the file and the place
   */
  public static Optional<ChatTemplate> open(final Path modelDirectory) {
    final Path configFile = modelDirectory.resolve("tokenizer_config.json");
    final JsonNode config = isThere(configFile) ? parse(configFile) : MAPPER.createObjectNode();
    final Path templateFile = modelDirectory.resolve("chat_template.jinja");
    final boolean alone = isThere(templateFile);
    final Optional<String> source =
        alone
            ? Optional.of(ModelText.read(templateFile, MAX_TEMPLATE))
            : source(configFile, config);
    if (source.isEmpty()) {
      return Optional.empty();
    }
    final Map<String, Object> variables = new HashMap<>();
    variables.put("add_generation_prompt", true);
    variables.put("tools", Optional.empty());
    variables.put("documents", Optional.empty());
    for (final String token : SPECIAL_TOKENS) {
      token(configFile, token, config.path(token)).ifPresent(text -> variables.put(token, text));
    }
    final String place = alone ? templateFile.toString() : configFile + ": chat_template";
    return Optional.of(new ChatTemplate(parse(place, source.get()), Map.copyOf(variables)));
  }

  /**
   * The prompt after which the model speaks next, special tokens written out.
   *
   * @throws TemplateException if the template refuses the conversation; the message is the
   *     template's own where it raises an error
   */
  public String render(final List<Message> messages) {
    final Map<String, Object> all = new HashMap<>(variables);
    all.put("messages", messages.stream().map(ChatTemplate::asMap).toList());
    return template.render(all);
  }

  private static Map<String, Object> asMap(final Message message) {
    final Map<String, Object> map = new LinkedHashMap<>();
    map.put("role", message.role());
    map.put("content", message.content());
    return map;
  }

  /** A link that leads nowhere counts: the error is better than a model without its template. */
  private static boolean isThere(final Path file) {
    return Files.exists(file, LinkOption.NOFOLLOW_LINKS);
  }

  private static Template parse(final String place, final String source) {
    if (source.length() > MAX_TEMPLATE) {
      throw new TokenizerException(
          "%s: %,d characters; at most %,d are read"
              .formatted(place, source.length(), MAX_TEMPLATE));
    }
    try {
      return Template.parse(source);
    } catch (final TemplateException e) {
      throw new TokenizerException(
          place
              + ": "
              + e.getMessage()
              + "; a model directory without a chat template serves prompts of text and token ids",
          e);
    }
  }

  private static JsonNode parse(final Path file) {
    try {
      final JsonNode config = MAPPER.readTree(ModelText.read(file, MAX_BYTES));
      if (config.isObject()) {
        return config;
      }
    } catch (final JsonProcessingException e) {
      throw new TokenizerException(
          file + ": not JSON" + ModelText.line(e) + ": " + e.getOriginalMessage(), e);
    }
    throw new TokenizerException(file + ": not a JSON object");
  }

  /** The template itself, or of several with names the one named {@code default}. */
  private static Optional<String> source(final Path file, final JsonNode config) {
    final JsonNode template = config.path("chat_template");
    if (template.isMissingNode() || template.isNull()) {
      return Optional.empty();
    }
    if (template.isTextual()) {
      return Optional.of(template.textValue());
    }
    for (final JsonNode named : template) {
      if (named.path("name").asText().equals("default") && named.path("template").isTextual()) {
        return Optional.of(named.path("template").textValue());
      }
    }
    throw new TokenizerException(
        file + ": chat_template is neither a text nor a list with a template named default");
  }

  private static Optional<String> token(final Path file, final String name, final JsonNode token) {
    if (token.isMissingNode() || token.isNull()) {
      return Optional.empty();
    }
    final JsonNode text = token.isObject() ? token.path("content") : token;
    if (!text.isTextual()) {
      throw new TokenizerException(
          "%s: %s is %s; supported: a text, or an object with the text as its content"
              .formatted(file, name, token));
    }
    return Optional.of(text.textValue());
  }
}
