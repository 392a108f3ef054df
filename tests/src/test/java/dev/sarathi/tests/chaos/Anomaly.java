package dev.sarathi.tests.chaos;

import java.util.Locale;

/** Something that must not be. */
record Anomaly(Kind kind, String subject, String detail) {

  enum Kind {
    /** A request has no last record. */
    LOST_REQUEST,
    /** Records of a request that nobody made. */
    UNKNOWN_REQUEST,
    /** A token that was there before. */
    DUPLICATE_TOKEN,
    /** A token is missing between two others. */
    GAP,
    /** A token or its text is not the oracle's. */
    WRONG_TOKEN,
    /** It ended too early or too late, or for another reason than the oracle's. */
    WRONG_END,
    /** More than one last record of a request, or of a choice. */
    TWO_TERMINALS,
    /** A record after the last one. */
    TOKEN_AFTER_TERMINAL,
    /** A request's records in more than one partition. */
    TWO_PARTITIONS,
    /** A token record of an earlier attempt after one of a later. */
    STALE_ATTEMPT,
    /** Records of one attempt from two producers: one of them must have been aborted. */
    TWO_INCARNATIONS,
    /** A request without a completion. */
    LOST_COMPLETION,
    /** A request with two. */
    TWO_COMPLETIONS,
    /** A completion that says something else than the token records. */
    WRONG_COMPLETION,
    /** A dead letter, though every prompt is valid. */
    DEAD_LETTER,
    /** A record that cannot be read. */
    UNREADABLE_RECORD,
    /** A record behind everything else stays invisible: a transaction was never ended. */
    DANGLING_TRANSACTION;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
  }

  @Override
  public String toString() {
    return "%s %s: %s".formatted(kind, subject, detail);
  }
}
