package dev.sarathi.streams.cli;

import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.TokenRecord;
import java.util.Locale;

/** One generation as its token records arrive. */
final class FollowedGeneration {

  private final String name;
  private final StringBuilder text = new StringBuilder();
  private int next;

  /**
   * @param first the first record seen, which is not the generation's first where one joins late
   */
  FollowedGeneration(final TokenRecord first) {
    name = name(first);
    next = first.getIndex();
    if (next > 0) {
      text.append('…');
    }
  }

  /** The request's id, and the choice where it is not the only one. */
  static String name(final TokenRecord record) {
    return record.getChoice() == 0
        ? record.getRequestId()
        : record.getRequestId() + "#" + record.getChoice();
  }

  String name() {
    return name;
  }

  /** What came since the last {@link #takeLine}; all of it where no line was ever taken. */
  String text() {
    return text.toString();
  }

  void add(final TokenRecord record) {
    if (record.getIndex() != next) {
      // Exactly-once forbids it, so whoever watches should see it.
      text.append("⟨expected token %d, got %d⟩".formatted(next, record.getIndex()));
    }
    next = record.getIndex() + record.getTokenIds().size();
    text.append(record.getText());
  }

  /** Takes the first complete line off the text, or returns an empty string if there is none. */
  String takeLine() {
    final int end = text.indexOf("\n") + 1;
    final String line = text.substring(0, end);
    text.delete(0, end);
    return line;
  }

  /** One line on how a generation ended. */
  static String ending(final TokenRecord terminal) {
    final StringBuilder ending = new StringBuilder();
    ending.append(terminal.getFinishReason().orElse(FinishReason.UNKNOWN));
    terminal.getError().ifPresent(error -> ending.append(": ").append(error));
    terminal
        .getUsage()
        .ifPresent(
            usage ->
                ending.append(
                    ", %d prompt and %d generated tokens"
                        .formatted(usage.getPromptTokens(), usage.getCompletionTokens())));
    terminal
        .getTiming()
        .ifPresent(
            timing ->
                ending.append(
                    String.format(
                        Locale.ROOT,
                        ", first after %.0f ms, all after %.0f ms",
                        timing.getTimeToFirstTokenMs(),
                        timing.getTotalMs())));
    if (terminal.getAttempt() > 1) {
      ending.append(", attempt ").append(terminal.getAttempt());
    }
    return ending.toString();
  }
}
