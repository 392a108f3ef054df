package dev.sarathi.streams.replay;

import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.CompletionChoice;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.TokenRecord;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;

/** What one generation wrote, choice by choice, as far as its records have come. */
final class Recording {
  private final SortedMap<Integer, Choice> choices = new TreeMap<>();
  private final Set<String> fingerprints = new TreeSet<>();
  private boolean ended;
  private boolean gap;
  private int attempt;

  void add(final TokenRecord record) {
    final Choice choice = choices.computeIfAbsent(record.getChoice(), number -> new Choice());
    gap |= record.getIndex() != choice.size;
    choice.add(record.getTokenIds(), record.getText());
    record.getFinishReason().ifPresent(reason -> choice.end(reason, record.getError()));
    ended |= record.getLast();
    attempt = record.getAttempt();
    fingerprints.add(record.getFingerprint());
    record.getPreviousFingerprint().ifPresent(fingerprints::add);
  }

  static Recording of(final Completion completion) {
    final Recording recording = new Recording();
    recording.choice(
        0,
        completion.getTokenIds(),
        completion.getText(),
        completion.getFinishReason(),
        completion.getError());
    for (final CompletionChoice choice : completion.getChoices()) {
      recording.choice(
          choice.getChoice(),
          choice.getTokenIds(),
          choice.getText(),
          choice.getFinishReason(),
          choice.getError());
    }
    recording.ended = true;
    recording.attempt = completion.getAttempt();
    recording.fingerprints.add(completion.getFingerprint());
    completion.getPreviousFingerprint().ifPresent(recording.fingerprints::add);
    return recording;
  }

  private void choice(
      final int number,
      final List<Integer> tokens,
      final String text,
      final FinishReason reason,
      final Optional<String> error) {
    final Choice choice = new Choice();
    choice.add(tokens, text);
    choice.end(reason, error);
    choices.put(number, choice);
  }

  SortedMap<Integer, Choice> choices() {
    return choices;
  }

  Set<String> fingerprints() {
    return fingerprints;
  }

  /** Whether it has ended and every token of it is there. */
  boolean isComplete() {
    return ended && !gap;
  }

  boolean hasEnded() {
    return ended;
  }

  /** Whether it was refused before it was ever taken up. */
  boolean isRejected() {
    return ended
        && attempt == 0
        && choices.values().stream()
            .allMatch(choice -> choice.reason.equals(Optional.of(FinishReason.ERROR)));
  }

  /** The most tokens of a choice, if some choice was ended from outside and none by its length. */
  OptionalInt cutAt() {
    final boolean full =
        choices.values().stream()
            .anyMatch(choice -> choice.reason.equals(Optional.of(FinishReason.LENGTH)));
    return isRejected() || full || choices.values().stream().noneMatch(Choice::isCut)
        ? OptionalInt.empty()
        : choices.values().stream().mapToInt(Choice::size).max();
  }

  int tokens() {
    return choices.values().stream().mapToInt(Choice::size).sum();
  }

  /** One of the continuations. */
  static final class Choice {
    private int[] tokens = new int[16];
    private int size;
    private final StringBuilder text = new StringBuilder();
    private Optional<FinishReason> reason = Optional.empty();
    private Optional<String> error = Optional.empty();

    private void add(final List<Integer> more, final String moreText) {
      if (size + more.size() > tokens.length) {
        tokens = Arrays.copyOf(tokens, Math.max(2 * tokens.length, size + more.size()));
      }
      for (final int token : more) {
        tokens[size++] = token;
      }
      text.append(moreText);
    }

    private void end(final FinishReason how, final Optional<String> why) {
      reason = Optional.of(how);
      error = why;
    }

    int size() {
      return size;
    }

    int token(final int index) {
      return tokens[index];
    }

    /** The tokens in [from, to), as many of them as there are. */
    int[] tokens(final int from, final int to) {
      return Arrays.copyOfRange(tokens, Math.min(from, size), Math.min(to, size));
    }

    String text() {
      return text.toString();
    }

    /** Whether it was ended from outside rather than by what it generated. */
    boolean isCut() {
      return reason
          .filter(
              how ->
                  switch (how) {
                    case CANCELLED, DEADLINE, ERROR -> true;
                    case STOP, LENGTH, UNKNOWN -> false;
                  })
          .isPresent();
    }

    /** How it ended, in words. */
    String end() {
      return reason.map(Enum::name).orElse("no end")
          + error.map(message -> ": " + message).orElse("");
    }

    boolean endsAs(final Choice other) {
      return reason.equals(other.reason);
    }
  }
}
