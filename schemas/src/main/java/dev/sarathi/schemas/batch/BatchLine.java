package dev.sarathi.schemas.batch;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.sarathi.schemas.ChatMessage;
import dev.sarathi.schemas.Constraint;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.Sampling;
import dev.sarathi.schemas.TokenBias;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * A line of an OpenAI batch file. What a field may be is checked here as far as its type; whether
 * its value is sensible the processor says, as for every request.
 *
 * @param request what the body asks for, without an id
 * @param ignored the body's fields that mean nothing here
 */
public record BatchLine(
    String customId, Endpoint endpoint, PromptRequest request, Set<String> ignored) {
  private static final ObjectMapper JSON =
      JsonMapper.builder().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();

  // The processor takes ids of 1,024 characters, and that of a request says more than this.
  private static final int MAX_CUSTOM_ID = 512;

  /** The line's {@code custom_id}, if it can be made out, whatever follows it. */
  public static Optional<String> customId(final byte[] line) {
    try (JsonParser parser = JSON.createParser(line)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        return Optional.empty();
      }
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        final String name = parser.currentName();
        final JsonToken value = parser.nextToken();
        if (name.equals("custom_id")) {
          return value == JsonToken.VALUE_STRING
              ? Optional.of(parser.getText()).filter(id -> !id.isEmpty())
              : Optional.empty();
        }
        parser.skipChildren();
      }
      return Optional.empty();
    } catch (final IOException e) {
      return Optional.empty();
    }
  }

  /**
   * @throws InvalidLineException if it is no request, naming the field
   */
  public static BatchLine parse(final byte[] line) throws InvalidLineException {
    final JsonNode node = read(line);
    if (!node.isObject()) {
      throw new InvalidLineException(
          "the line is a JSON " + kind(node) + "; valid is an object with custom_id, url and body");
    }
    final String customId = text("custom_id", node.path("custom_id"));
    if (customId.isEmpty() || customId.length() > MAX_CUSTOM_ID) {
      throw new InvalidLineException(
          "custom_id has %d characters; valid are 1 to %d"
              .formatted(customId.length(), MAX_CUSTOM_ID));
    }
    final String method = text("method", node.path("method"));
    if (!method.equals("POST")) {
      throw new InvalidLineException("method is '" + method + "'; valid is POST");
    }
    final String url = text("url", node.path("url"));
    final Endpoint endpoint =
        Endpoint.ofUrl(url)
            .orElseThrow(
                () ->
                    new InvalidLineException(
                        "url is '%s'; valid are %s and %s"
                            .formatted(url, Endpoint.CHAT.url(), Endpoint.TEXT.url())));
    final JsonNode body = node.path("body");
    if (!body.isObject()) {
      throw invalid("body", body, "an object");
    }
    final Body read = new Body(endpoint);
    for (final Map.Entry<String, JsonNode> field : body.properties()) {
      if (!field.getValue().isNull()) {
        read.take(field.getKey(), field.getValue());
      }
    }
    return new BatchLine(customId, endpoint, read.request(), read.ignored);
  }

  private static JsonNode read(final byte[] line) throws InvalidLineException {
    try {
      return JSON.readTree(line);
    } catch (final JsonProcessingException e) {
      throw new InvalidLineException("the line is no JSON: " + e.getOriginalMessage(), e);
    } catch (final IOException e) {
      throw new InvalidLineException("the line is no JSON: " + e.getMessage(), e);
    }
  }

  /** What a body's fields come to. */
  private static final class Body {
    private final boolean chat;
    private final PromptRequest.Builder request = PromptRequest.newBuilder();
    private final Sampling.Builder sampling = Sampling.newBuilder();
    private final Set<String> ignored = new TreeSet<>();
    private Optional<Integer> maxTokens = Optional.empty();
    private Optional<Integer> maxCompletionTokens = Optional.empty();
    private boolean logprobs;
    private int topLogprobs;

    Body(final Endpoint endpoint) {
      this.chat = endpoint == Endpoint.CHAT;
    }

    void take(final String name, final JsonNode value) throws InvalidLineException {
      switch (name) {
        case "model" -> request.setModel(text(name, value));
        case "messages" -> {
          if (chat) {
            request.setMessages(messages(value));
          } else {
            ignored.add(name);
          }
        }
        case "prompt" -> {
          if (chat) {
            ignored.add(name);
          } else {
            prompt(value);
          }
        }
        case "max_tokens" -> maxTokens = Optional.of(integer(name, value));
        case "max_completion_tokens" -> maxCompletionTokens = Optional.of(integer(name, value));
        case "temperature" -> sampling.setTemperature(number(name, value));
        case "top_p" -> sampling.setTopP(number(name, value));
        case "top_k" -> sampling.setTopK(integer(name, value));
        case "min_p" -> sampling.setMinP(number(name, value));
        case "repetition_penalty" -> sampling.setRepetitionPenalty(number(name, value));
        case "presence_penalty" -> sampling.setPresencePenalty(number(name, value));
        case "frequency_penalty" -> sampling.setFrequencyPenalty(number(name, value));
        case "logit_bias" -> sampling.setLogitBias(biases(value));
        case "n" -> request.setN(integer(name, value));
        case "seed" -> request.setSeed(whole(name, value));
        case "stop" -> request.setStop(texts(name, value));
        case "stop_token_ids" -> request.setStopTokenIds(integers(name, value));
        case "ignore_eos" -> request.setIgnoreEos(truth(name, value));
        // Not a field of OpenAI's completions, but to ignore it would be to answer something else.
        case "response_format" -> constraint(value).ifPresent(request::setConstraint);
        case "truncate_prompt_tokens" -> request.setTruncatePromptTokens(integer(name, value));
        case "logprobs" -> {
          logprobs = !chat || truth(name, value);
          topLogprobs = chat ? topLogprobs : integer(name, value);
        }
        case "top_logprobs" -> {
          if (chat) {
            topLogprobs = integer(name, value);
          } else {
            ignored.add(name);
          }
        }
        default -> ignored.add(name);
      }
    }

    PromptRequest request() throws InvalidLineException {
      final String field = chat ? "messages" : "prompt";
      if (!request.hasMessages() && !request.hasPrompt() && !request.hasTokenIds()) {
        throw new InvalidLineException("body." + field + " is missing");
      }
      return request
          .setSampling(sampling.build())
          .setMaxTokens(maxCompletionTokens.or(() -> maxTokens).orElse(null))
          .setLogprobs(logprobs ? (Integer) topLogprobs : null)
          .build();
    }

    private void prompt(final JsonNode value) throws InvalidLineException {
      if (value.isArray() && value.size() > 0 && value.get(0).isNumber()) {
        request.setTokenIds(integers("prompt", value));
        return;
      }
      // The endpoint takes several prompts at once; a result line holds the answer to one.
      final JsonNode only = value.isArray() && value.size() == 1 ? value.get(0) : value;
      if (!only.isTextual()) {
        throw invalid("body.prompt", value, "a text, or an array of one text or of token ids");
      }
      request.setPrompt(only.textValue());
    }
  }

  /** Any text is what comes without one. */
  private static Optional<Constraint> constraint(final JsonNode format)
      throws InvalidLineException {
    final String type = text("body.response_format.type", format.path("type"));
    return switch (type) {
      case "text" -> Optional.empty();
      case "json_schema" -> {
        final JsonNode schema = format.path("json_schema").path("schema");
        if (!schema.isObject()) {
          throw invalid("body.response_format.json_schema.schema", schema, "a JSON schema");
        }
        yield Optional.of(Constraint.newBuilder().setJsonSchema(schema.toString()).build());
      }
      default ->
          throw new InvalidLineException(
              "body.response_format.type is '" + type + "'; valid are text and json_schema");
    };
  }

  private static List<ChatMessage> messages(final JsonNode value) throws InvalidLineException {
    if (!value.isArray() || value.isEmpty()) {
      throw invalid("body.messages", value, "an array of at least one message");
    }
    final List<ChatMessage> messages = new ArrayList<>();
    for (final JsonNode message : value) {
      messages.add(
          ChatMessage.newBuilder()
              .setRole(text("messages.role", message.path("role")))
              .setContent(content(message.path("content")))
              .build());
    }
    return messages;
  }

  private static String content(final JsonNode value) throws InvalidLineException {
    if (value.isTextual()) {
      return value.textValue();
    }
    if (!value.isArray()) {
      throw invalid("body.messages.content", value, "a text or an array of text parts");
    }
    final StringBuilder text = new StringBuilder();
    for (final JsonNode part : value) {
      final String type = text("messages.content.type", part.path("type"));
      if (!type.equals("text")) {
        throw new InvalidLineException(
            "body.messages.content has a part of type '" + type + "'; valid is text");
      }
      text.append(text("messages.content.text", part.path("text")));
    }
    return text.toString();
  }

  private static List<TokenBias> biases(final JsonNode value) throws InvalidLineException {
    if (!value.isObject()) {
      throw invalid("body.logit_bias", value, "an object of token ids and biases");
    }
    final List<TokenBias> biases = new ArrayList<>();
    for (final Map.Entry<String, JsonNode> bias : value.properties()) {
      try {
        biases.add(
            new TokenBias(Integer.parseInt(bias.getKey()), number("logit_bias", bias.getValue())));
      } catch (final NumberFormatException e) {
        throw new InvalidLineException(
            "body.logit_bias has the key '" + bias.getKey() + "'; valid are token ids", e);
      }
    }
    return biases;
  }

  private static List<String> texts(final String name, final JsonNode value)
      throws InvalidLineException {
    if (value.isTextual()) {
      return List.of(value.textValue());
    }
    if (!value.isArray()) {
      throw invalid("body." + name, value, "a text or an array of texts");
    }
    final List<String> texts = new ArrayList<>();
    for (final JsonNode text : value) {
      texts.add(text(name, text));
    }
    return texts;
  }

  private static List<Integer> integers(final String name, final JsonNode value)
      throws InvalidLineException {
    if (!value.isArray()) {
      throw invalid("body." + name, value, "an array of whole numbers");
    }
    final List<Integer> integers = new ArrayList<>();
    for (final JsonNode integer : value) {
      integers.add(integer(name, integer));
    }
    return integers;
  }

  private static String text(final String name, final JsonNode value) throws InvalidLineException {
    if (!value.isTextual()) {
      throw invalid(name, value, "a text");
    }
    return value.textValue();
  }

  private static int integer(final String name, final JsonNode value) throws InvalidLineException {
    if (!value.isIntegralNumber() || !value.canConvertToInt()) {
      throw invalid("body." + name, value, "a whole number of 32 bits");
    }
    return value.intValue();
  }

  private static long whole(final String name, final JsonNode value) throws InvalidLineException {
    if (!value.isIntegralNumber() || !value.canConvertToLong()) {
      throw invalid("body." + name, value, "a whole number of 64 bits");
    }
    return value.longValue();
  }

  private static double number(final String name, final JsonNode value)
      throws InvalidLineException {
    if (!value.isNumber()) {
      throw invalid("body." + name, value, "a number");
    }
    return value.doubleValue();
  }

  private static boolean truth(final String name, final JsonNode value)
      throws InvalidLineException {
    if (!value.isBoolean()) {
      throw invalid("body." + name, value, "true or false");
    }
    return value.booleanValue();
  }

  private static InvalidLineException invalid(
      final String field, final JsonNode value, final String valid) {
    final String given = value.isMissingNode() ? "missing" : value.toString();
    final String shown = given.length() <= 80 ? given : given.substring(0, 80) + "…";
    return new InvalidLineException(field + " is " + shown + "; valid is " + valid);
  }

  private static String kind(final JsonNode node) {
    return node.getNodeType().toString().toLowerCase(java.util.Locale.ROOT);
  }
}
