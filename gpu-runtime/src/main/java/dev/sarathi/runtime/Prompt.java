package dev.sarathi.runtime;

import java.util.Arrays;
import java.util.List;

/** What to continue. */
public sealed interface Prompt {

  /**
   * Text, to be encoded by the model's tokenizer with its special tokens.
   *
   * @param text not empty
   */
  record Text(String text) implements Prompt {}

  /**
   * A conversation, to be written down by the model's chat template; the model speaks next.
   *
   * @param messages at least one
   */
  record Chat(List<ChatMessage> messages) implements Prompt {
    /** Copies the messages. */
    public Chat {
      messages = List.copyOf(messages);
    }
  }

  /**
   * Token ids, taken as they are.
   *
   * @param ids at least one, each a token of the model; not modified after construction
   */
  record Tokens(int[] ids) implements Prompt {
    @Override
    public boolean equals(final Object other) {
      return other instanceof Tokens tokens && Arrays.equals(ids, tokens.ids);
    }

    @Override
    public int hashCode() {
      return Arrays.hashCode(ids);
    }

    @Override
    public String toString() {
      return "Tokens[" + ids.length + " ids]";
    }
  }
}
