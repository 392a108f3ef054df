package dev.sarathi.tests.chaos;

import dev.sarathi.schemas.FinishReason;
import java.util.List;
import java.util.Optional;

/** What a consumer has read of an output, as far as it is verified. */
sealed interface Seen {
  /** The request's id, the record's key. */
  String id();

  int partition();

  /**
   * A token record.
   *
   * @param incarnation the producer that sent it, see {@link IncarnationHeader}
   */
  record Tokens(
      String id,
      int partition,
      int choice,
      int index,
      List<Integer> tokens,
      String text,
      Optional<FinishReason> finish,
      boolean last,
      int attempt,
      String incarnation)
      implements Seen {}

  /** A completion: the tokens and the text of each choice. */
  record Completion(String id, int partition, List<List<Integer>> tokens, List<String> texts)
      implements Seen {}
}
