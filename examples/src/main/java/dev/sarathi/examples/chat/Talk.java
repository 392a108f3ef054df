package dev.sarathi.examples.chat;

import static java.util.stream.Collectors.joining;

import dev.sarathi.examples.Json;
import dev.sarathi.runtime.ChatMessage;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.streams.GenerationResult.Completion;
import java.util.List;
import java.util.stream.Stream;
import org.apache.kafka.common.serialization.Serde;

/**
 * A conversation.
 *
 * @param messages of the roles {@code user} and {@code assistant}
 * @param asks whether an answer to them is wanted now; if not, one is under way, or the last of
 *     them
 */
public record Talk(List<ChatMessage> messages, boolean asks) {
  static final Serde<Talk> SERDE = Json.serde(Talk.class);
  static final Talk EMPTY = new Talk(List.of(), false);

  static Talk turn(final String line) {
    return new Talk(List.of(new ChatMessage("user", line)), true);
  }

  /** With a turn behind it; or, if the news is its first messages and their answer, with that. */
  Talk with(final Talk news) {
    if (!news.isAnswered()) {
      return new Talk(join(messages, news.messages), isAnswered());
    }
    final int known = Math.min(news.messages.size() - 1, messages.size());
    final List<ChatMessage> waiting = messages.subList(known, messages.size());
    return new Talk(join(news.messages, waiting), !waiting.isEmpty());
  }

  Talk answered(final Completion<?, ?> completion) {
    final String line = completion.finish().error().orElse(completion.text());
    return new Talk(join(messages, List.of(new ChatMessage("assistant", line))), false);
  }

  /** Models with a chat template take {@code new Prompt.Chat(messages)} for a prompt. */
  GenerationRequest request(final String key) {
    final String prompt =
        messages.stream()
            .map(message -> message.role() + ": " + message.content() + "\n")
            .collect(joining("", "", "assistant:"));
    return GenerationRequest.of(key, prompt)
        .withTruncatedPrompt(0)
        .withMaxTokens(60)
        .withStop(List.of("\n"));
  }

  String lastLine() {
    return messages.getLast().content();
  }

  private boolean isAnswered() {
    return messages.isEmpty() || messages.getLast().role().equals("assistant");
  }

  private static List<ChatMessage> join(final List<ChatMessage> a, final List<ChatMessage> b) {
    return Stream.concat(a.stream(), b.stream()).toList();
  }
}
