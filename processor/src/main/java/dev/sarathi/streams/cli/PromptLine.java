package dev.sarathi.streams.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sarathi.schemas.ChatMessage;
import dev.sarathi.schemas.Constraint;
import dev.sarathi.schemas.Priority;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.Sampling;
import dev.sarathi.schemas.TokenBias;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.avro.Schema;

/**
 * Reads a line of a prompts file: a JSON string is the prompt itself, an object has the fields of
 * {@link PromptRequest}. What the line leaves out is as in the request it starts from.
 */
final class PromptLine {

  private static final ObjectMapper JSON =
      new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  private PromptLine() {}

  static PromptRequest parse(final String line, final PromptRequest.Builder defaults)
      throws InvalidPromptException {
    JsonNode json;
    try {
      json = JSON.readTree(line);
    } catch (JsonProcessingException e) {
      throw new InvalidPromptException("not JSON: " + e.getOriginalMessage());
    }
    final PromptRequest.Builder request = PromptRequest.newBuilder(defaults);
    if (json.isTextual()) {
      request.setPrompt(json.textValue());
    } else if (json.isObject()) {
      for (Map.Entry<String, JsonNode> field : json.properties()) {
        if (!field.getValue().isNull()) {
          set(request, field.getKey(), field.getValue());
        }
      }
    } else {
      throw invalid("the line", json, "a JSON string or an object");
    }
    return checked(request.build());
  }

  /** Refuses a request that does not have exactly one prompt. */
  static PromptRequest checked(final PromptRequest request) throws InvalidPromptException {
    final long prompts =
        Stream.of(request.getPrompt(), request.getTokenIds(), request.getMessages())
            .filter(prompt -> prompt.isPresent())
            .count();
    if (prompts != 1) {
      throw new InvalidPromptException(
          prompts + " of prompt, token_ids and messages are set, must be exactly one");
    }
    return request;
  }

  private static void set(
      final PromptRequest.Builder request, final String name, final JsonNode value)
      throws InvalidPromptException {
    switch (name) {
      case "id" -> request.setId(text(name, value));
      case "prompt" -> request.setPrompt(text(name, value));
      case "token_ids" -> request.setTokenIds(list(name, value, PromptLine::integer));
      case "messages" -> request.setMessages(list(name, value, PromptLine::message));
      case "sampling" -> request.setSampling(sampling(value, request.getSampling()));
      case "n" -> request.setN(integer(name, value));
      case "max_tokens" -> request.setMaxTokens(integer(name, value));
      case "stop" -> request.setStop(list(name, value, PromptLine::text));
      case "stop_token_ids" -> request.setStopTokenIds(list(name, value, PromptLine::integer));
      case "ignore_eos" -> request.setIgnoreEos(bool(name, value));
      case "logprobs" -> request.setLogprobs(integer(name, value));
      case "prompt_logprobs" -> request.setPromptLogprobs(integer(name, value));
      case "truncate_prompt_tokens" -> request.setTruncatePromptTokens(integer(name, value));
      case "seed" -> request.setSeed(longInteger(name, value));
      case "priority" -> request.setPriority(priority(name, value));
      case "deadline_ms" -> request.setDeadlineMs(longInteger(name, value));
      case "model" -> request.setModel(text(name, value));
      case "tenant" -> request.setTenant(text(name, value));
      case "constraint" -> request.setConstraint(constraint(value));
      case "job_id" -> request.setJobId(text(name, value));
      default -> throw unknown(name, PromptRequest.getClassSchema());
    }
  }

  private static Sampling sampling(final JsonNode object, final Sampling defaults)
      throws InvalidPromptException {
    final Sampling.Builder sampling =
        defaults == null ? Sampling.newBuilder() : Sampling.newBuilder(defaults);
    for (Map.Entry<String, JsonNode> field : fields("sampling", object)) {
      final String name = "sampling." + field.getKey();
      final JsonNode value = field.getValue();
      switch (field.getKey()) {
        case "temperature" -> sampling.setTemperature(number(name, value));
        case "top_k" -> sampling.setTopK(integer(name, value));
        case "top_p" -> sampling.setTopP(number(name, value));
        case "min_p" -> sampling.setMinP(number(name, value));
        case "repetition_penalty" -> sampling.setRepetitionPenalty(number(name, value));
        case "presence_penalty" -> sampling.setPresencePenalty(number(name, value));
        case "frequency_penalty" -> sampling.setFrequencyPenalty(number(name, value));
        case "logit_bias" -> sampling.setLogitBias(list(name, value, PromptLine::bias));
        default -> throw unknown(name, Sampling.getClassSchema());
      }
    }
    return sampling.build();
  }

  /** The schema as JSON, or as a text of it. */
  private static Constraint constraint(final JsonNode object) throws InvalidPromptException {
    final Constraint.Builder constraint = Constraint.newBuilder();
    for (Map.Entry<String, JsonNode> field : fields("constraint", object)) {
      final String name = "constraint." + field.getKey();
      final JsonNode value = field.getValue();
      switch (field.getKey()) {
        case "one_of" -> constraint.setOneOf(list(name, value, PromptLine::text));
        case "json_schema" ->
            constraint.setJsonSchema(value.isObject() ? value.toString() : text(name, value));
        default -> throw unknown(name, Constraint.getClassSchema());
      }
    }
    return constraint.build();
  }

  private static TokenBias bias(final String name, final JsonNode object)
      throws InvalidPromptException {
    final TokenBias.Builder bias = TokenBias.newBuilder();
    for (Map.Entry<String, JsonNode> field : fields(name, object)) {
      final String path = name + "." + field.getKey();
      switch (field.getKey()) {
        case "token_id" -> bias.setTokenId(integer(path, field.getValue()));
        case "bias" -> bias.setBias(number(path, field.getValue()));
        default -> throw unknown(path, TokenBias.getClassSchema());
      }
    }
    return bias.build();
  }

  private static ChatMessage message(final String name, final JsonNode object)
      throws InvalidPromptException {
    final ChatMessage.Builder message = ChatMessage.newBuilder();
    for (Map.Entry<String, JsonNode> field : fields(name, object)) {
      final String path = name + "." + field.getKey();
      switch (field.getKey()) {
        case "role" -> message.setRole(text(path, field.getValue()));
        case "content" -> message.setContent(text(path, field.getValue()));
        default -> throw unknown(path, ChatMessage.getClassSchema());
      }
    }
    return message.build();
  }

  private static Iterable<Map.Entry<String, JsonNode>> fields(
      final String name, final JsonNode value) throws InvalidPromptException {
    if (!value.isObject()) {
      throw invalid(name, value, "an object");
    }
    return value.properties();
  }

  private interface Reader<T> {
    T read(String name, JsonNode value) throws InvalidPromptException;
  }

  private static <T> List<T> list(final String name, final JsonNode array, final Reader<T> reader)
      throws InvalidPromptException {
    if (!array.isArray()) {
      throw invalid(name, array, "an array");
    }
    final List<T> list = new ArrayList<>(array.size());
    for (JsonNode element : array) {
      list.add(reader.read(name + "[" + list.size() + "]", element));
    }
    return list;
  }

  private static String text(final String name, final JsonNode value)
      throws InvalidPromptException {
    if (!value.isTextual()) {
      throw invalid(name, value, "a string");
    }
    return value.textValue();
  }

  private static int integer(final String name, final JsonNode value)
      throws InvalidPromptException {
    if (!value.isIntegralNumber() || !value.canConvertToInt()) {
      throw invalid(name, value, "an integer of 32 bits");
    }
    return value.intValue();
  }

  private static long longInteger(final String name, final JsonNode value)
      throws InvalidPromptException {
    if (!value.isIntegralNumber() || !value.canConvertToLong()) {
      throw invalid(name, value, "an integer of 64 bits");
    }
    return value.longValue();
  }

  private static double number(final String name, final JsonNode value)
      throws InvalidPromptException {
    if (!value.isNumber()) {
      throw invalid(name, value, "a number");
    }
    return value.doubleValue();
  }

  private static boolean bool(final String name, final JsonNode value)
      throws InvalidPromptException {
    if (!value.isBoolean()) {
      throw invalid(name, value, "true or false");
    }
    return value.booleanValue();
  }

  private static Priority priority(final String name, final JsonNode value)
      throws InvalidPromptException {
    try {
      return Priority.valueOf(text(name, value).toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException e) {
      throw invalid(name, value, "one of " + Arrays.toString(Priority.values()));
    }
  }

  private static InvalidPromptException invalid(
      final String name, final JsonNode value, final String valid) {
    String shown = value.toString();
    if (shown.length() > 40) {
      shown = shown.substring(0, 40) + "…";
    }
    return new InvalidPromptException("%s is %s, must be %s".formatted(name, shown, valid));
  }

  private static InvalidPromptException unknown(final String name, final Schema schema) {
    final List<String> known = schema.getFields().stream().map(Schema.Field::name).toList();
    return new InvalidPromptException(
        "unknown field %s; there are %s".formatted(name, String.join(", ", known)));
  }
}
