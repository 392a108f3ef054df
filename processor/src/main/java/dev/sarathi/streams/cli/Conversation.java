package dev.sarathi.streams.cli;

import dev.sarathi.schemas.ChatMessage;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The messages of a prompt that is one thing said by a user. */
final class Conversation {
  private Conversation() {}

  static List<ChatMessage> of(final Optional<String> system, final String user) {
    final List<ChatMessage> messages = new ArrayList<>();
    system.ifPresent(text -> messages.add(new ChatMessage("system", text)));
    messages.add(new ChatMessage("user", user));
    return messages;
  }
}
