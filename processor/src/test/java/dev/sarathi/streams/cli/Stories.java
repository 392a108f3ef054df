package dev.sarathi.streams.cli;

import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.Timing;
import dev.sarathi.schemas.TokenRecord;
import java.time.Instant;
import java.util.Collections;
import java.util.Optional;

/** Stories for tests, their times in milliseconds. */
final class Stories {

  private Stories() {}

  static Story waiting(final String name, final int promptTokens) {
    return new Story(
        PromptRequest.newBuilder().setId(name).setPrompt("Once").setMaxTokens(9).build(),
        promptTokens);
  }

  static Story sent(final String name, final long millis) {
    final Story story = waiting(name, 5);
    story.sent(millis * 1_000_000);
    return story;
  }

  static void tokens(final Story story, final long millis, final int count, final String text) {
    story.add(record(story, count, text).build(), millis * 1_000_000);
  }

  static void end(final Story story, final FinishReason reason, final Optional<Timing> timing) {
    story.add(
        record(story, 0, "").setFinishReason(reason).setTiming(timing.orElse(null)).build(), 0);
  }

  private static TokenRecord.Builder record(final Story story, final int count, final String text) {
    return TokenRecord.newBuilder()
        .setRequestId(story.name())
        .setIndex(story.tokens())
        .setTokenIds(Collections.nCopies(count, 17))
        .setText(text)
        .setEmittedAt(Instant.EPOCH);
  }
}
