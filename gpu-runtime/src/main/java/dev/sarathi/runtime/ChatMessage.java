package dev.sarathi.runtime;

import java.util.Objects;

/**
 * What somebody has said in a conversation.
 *
 * @param role who: {@code system}, {@code user}, {@code assistant}, or what else the model's chat
 *     template knows
 * @param content the words; never read as template language
 */
public record ChatMessage(String role, String content) {
  /** Refuses nulls. */
  public ChatMessage {
    Objects.requireNonNull(role, "role");
    Objects.requireNonNull(content, "content");
  }
}
