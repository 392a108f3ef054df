package dev.sarathi.schemas.batch;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.CompletionChoice;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.TokenLogprob;
import dev.sarathi.schemas.TopLogprob;
import dev.sarathi.schemas.Usage;
import java.util.List;
import java.util.Optional;

/**
 * A completion as a line of an OpenAI batch's output or error file.
 *
 * <p>Completions carry token ids and not the tokens' text, so in log-probabilities a token is
 * written as {@code token_id:ID}.
 *
 * @param line the number of its request's line in the input
 * @param succeeded whether it belongs into the output file
 * @param json the line, without a line feed
 */
public record ResultLine(int line, boolean succeeded, String json) {
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  public static ResultLine of(final BatchRequest request, final Completion completion) {
    final Optional<ObjectNode> error = error(request, completion);
    final ObjectNode result = NODES.objectNode();
    result.put("id", "batch_req_" + request.fingerprint() + "_" + request.line());
    result.put("custom_id", request.customId().isEmpty() ? null : request.customId());
    result.set("response", error.isPresent() ? NODES.nullNode() : response(request, completion));
    result.set("error", error.isPresent() ? error.get() : NODES.nullNode());
    return new ResultLine(request.line(), error.isEmpty(), result.toString());
  }

  private static Optional<ObjectNode> error(
      final BatchRequest request, final Completion completion) {
    final Optional<String> code =
        request.endpoint() == Endpoint.NONE
            ? Optional.of("invalid_request")
            : choices(completion).stream()
                .map(choice -> code(choice.getFinishReason()))
                .flatMap(Optional::stream)
                .findFirst();
    return code.map(
        given ->
            NODES
                .objectNode()
                .put("code", given)
                .put("message", message(completion, given))
                .putNull("param")
                .put("line", request.line()));
  }

  private static Optional<String> code(final FinishReason reason) {
    return switch (reason) {
      case STOP, LENGTH -> Optional.empty();
      case CANCELLED -> Optional.of("batch_cancelled");
      case DEADLINE -> Optional.of("batch_expired");
      case ERROR -> Optional.of("generation_failed");
      case UNKNOWN -> Optional.of("unknown_finish_reason");
    };
  }

  private static String message(final Completion completion, final String code) {
    return completion
        .getError()
        .or(
            () ->
                choices(completion).stream()
                    .flatMap(choice -> choice.getError().stream())
                    .findFirst())
        .orElse(
            switch (code) {
              case "batch_cancelled" -> "The request was cancelled.";
              case "batch_expired" -> "The request's deadline passed before it had ended.";
              default -> "The generation ended for a reason that this version does not know.";
            });
  }

  private static ObjectNode response(final BatchRequest request, final Completion completion) {
    final boolean chat = request.endpoint() == Endpoint.CHAT;
    final ObjectNode body = NODES.objectNode();
    body.put(
        "id",
        "%s-%s-%d".formatted(chat ? "chatcmpl" : "cmpl", request.fingerprint(), request.line()));
    body.put("object", chat ? "chat.completion" : "text_completion");
    body.put("created", completion.getEmittedAt().getEpochSecond());
    body.put("model", completion.getModel().orElse(""));
    final ArrayNode choices = body.putArray("choices");
    for (final CompletionChoice choice : choices(completion)) {
      choices.add(chat ? chatChoice(choice) : textChoice(choice));
    }
    body.set("usage", usage(completion.getUsage().orElseGet(() -> Usage.newBuilder().build())));
    body.put("system_fingerprint", completion.getFingerprint());
    final ObjectNode response = NODES.objectNode();
    response.put("status_code", 200);
    response.put("request_id", completion.getRequestId());
    response.set("body", body);
    return response;
  }

  /** All of them, also where there is only one, which the contract keeps elsewhere. */
  private static List<CompletionChoice> choices(final Completion completion) {
    return completion.getChoices().isEmpty()
        ? List.of(
            CompletionChoice.newBuilder()
                .setText(completion.getText())
                .setTokenIds(completion.getTokenIds())
                .setLogprobs(completion.getLogprobs())
                .setFinishReason(completion.getFinishReason())
                .setError(completion.getError().orElse(null))
                .build())
        : completion.getChoices();
  }

  private static ObjectNode chatChoice(final CompletionChoice choice) {
    final ObjectNode node = NODES.objectNode().put("index", choice.getChoice());
    node.putObject("message")
        .put("role", "assistant")
        .put("content", choice.getText())
        .putNull("refusal");
    if (choice.getLogprobs().isEmpty()) {
      node.putNull("logprobs");
    } else {
      final ObjectNode logprobs = node.putObject("logprobs");
      final ArrayNode content = logprobs.putArray("content");
      for (final TokenLogprob token : choice.getLogprobs()) {
        final ArrayNode top =
            logprob(content.addObject(), token.getTokenId(), token.getLogprob())
                .putArray("top_logprobs");
        for (final TopLogprob other : token.getTop()) {
          logprob(top.addObject(), other.getTokenId(), other.getLogprob());
        }
      }
      logprobs.putNull("refusal");
    }
    return node.put("finish_reason", finishReason(choice));
  }

  private static ObjectNode logprob(final ObjectNode node, final int token, final float logprob) {
    return node.put("token", name(token)).put("logprob", finite(logprob)).putNull("bytes");
  }

  private static ObjectNode textChoice(final CompletionChoice choice) {
    final ObjectNode node =
        NODES.objectNode().put("index", choice.getChoice()).put("text", choice.getText());
    if (choice.getLogprobs().isEmpty()) {
      node.putNull("logprobs");
    } else {
      final ObjectNode logprobs = node.putObject("logprobs");
      final ArrayNode tokens = logprobs.putArray("tokens");
      final ArrayNode tokenLogprobs = logprobs.putArray("token_logprobs");
      final ArrayNode topLogprobs = logprobs.putArray("top_logprobs");
      for (final TokenLogprob token : choice.getLogprobs()) {
        tokens.add(name(token.getTokenId()));
        tokenLogprobs.add(finite(token.getLogprob()));
        final ObjectNode top = topLogprobs.addObject();
        token.getTop().forEach(o -> top.put(name(o.getTokenId()), finite(o.getLogprob())));
      }
    }
    return node.put("finish_reason", finishReason(choice));
  }

  private static ObjectNode usage(final Usage usage) {
    final ObjectNode node =
        NODES
            .objectNode()
            .put("prompt_tokens", usage.getPromptTokens())
            .put("completion_tokens", usage.getCompletionTokens())
            .put("total_tokens", usage.getPromptTokens() + usage.getCompletionTokens());
    node.putObject("prompt_tokens_details").put("cached_tokens", usage.getCachedTokens());
    return node;
  }

  private static String finishReason(final CompletionChoice choice) {
    return choice.getFinishReason() == FinishReason.LENGTH ? "length" : "stop";
  }

  private static String name(final int token) {
    return "token_id:" + token;
  }

  // JSON has no infinity; the API's own word for "so unlikely that it does not matter".
  private static float finite(final float logprob) {
    return Float.isFinite(logprob) ? logprob : -9999f;
  }
}
