package dev.sarathi.streams;

import dev.sarathi.runtime.Finish;
import dev.sarathi.runtime.InvalidRequestException;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/** What a request yields: token parts while it runs, one completion at its end. */
public sealed interface GenerationResult<K, V> {

  /** The request's id. */
  String id();

  /** The record it came in. */
  Origin<K, V> origin();

  /**
   * The next tokens. Those of one request are in order and without gaps; the last part carries the
   * finish.
   *
   * @param index the position of the first token in the generation
   * @param tokens may be empty in the last part
   * @param text the text that became certain
   * @param emittedAt when the engine emitted the last of the tokens
   */
  record Tokens<K, V>(
      String id,
      Origin<K, V> origin,
      int index,
      List<Integer> tokens,
      String text,
      Instant emittedAt,
      Provenance provenance,
      Optional<Finish> finish)
      implements GenerationResult<K, V> {}

  /** The whole generation, once, at its end; look at the finish for errors. */
  record Completion<K, V>(
      String id,
      Origin<K, V> origin,
      List<Integer> tokens,
      String text,
      Instant emittedAt,
      Provenance provenance,
      Finish finish)
      implements GenerationResult<K, V> {}

  /**
   * A record that is no valid request; unless its id belongs to another request, a {@link
   * Completion} with an error stands beside it.
   */
  record Rejected<K, V>(String id, Origin<K, V> origin, InvalidRequestException reason)
      implements GenerationResult<K, V> {}

  /**
   * What the tokens stand on.
   *
   * @param attempt how often the generation has been taken up: 1, and one more after each crash or
   *     rebalance
   * @param fingerprint weights, tokenizer and numerics
   * @param previousFingerprint those of the first tokens, where the model was changed meanwhile
   */
  record Provenance(int attempt, String fingerprint, Optional<String> previousFingerprint) {}
}
