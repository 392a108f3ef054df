package dev.sarathi.streams;

import dev.sarathi.runtime.Finish;
import dev.sarathi.runtime.InvalidRequestException;
import dev.sarathi.runtime.schedule.Logprobs;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * What a request yields: token parts while it runs, one completion at its end. An error is no
 * exception but a completion whose finish says so. Values are immutable.
 *
 * @param <K> the key of the record that the request came in
 * @param <V> its value
 */
public sealed interface GenerationResult<K, V> {

  /** {@return the request's id} */
  String id();

  /** {@return the record it came in} */
  Origin<K, V> origin();

  /**
   * The next tokens of one choice. Those of a choice are in order and without gaps; its last part
   * carries its finish.
   *
   * @param <K> the key of the record that the request came in
   * @param <V> its value
   * @param id the request's id
   * @param origin the record it came in
   * @param choice which of the request's choices, from 0
   * @param index the position of the first token in the choice
   * @param tokens may be empty in the last part
   * @param logprobs one for each token, where the request asked for them; else empty
   * @param promptLogprobs one for each token of the prompt but the first, with the first token of
   *     choice 0, where the request asked for them; else empty
   * @param text the text that became certain
   * @param emittedAt when the engine emitted the last of the tokens
   * @param provenance what the tokens stand on
   * @param finish present in the last part of the choice
   * @param last whether every choice has ended with this: true once for each request
   */
  record Tokens<K, V>(
      String id,
      Origin<K, V> origin,
      int choice,
      int index,
      List<Integer> tokens,
      List<Logprobs> logprobs,
      List<Logprobs> promptLogprobs,
      String text,
      Instant emittedAt,
      Provenance provenance,
      Optional<Finish> finish,
      boolean last)
      implements GenerationResult<K, V> {}

  /**
   * The whole generation, once, at its end; look at the finish for errors.
   *
   * @param <K> the key of the record that the request came in
   * @param <V> its value
   * @param id the request's id
   * @param origin the record it came in
   * @param choices as many as the request asked for; one if it was rejected
   * @param promptLogprobs one for each token of the prompt but the first, where the request asked
   *     for them; else empty
   * @param emittedAt when the engine emitted the last token, or gave the request up
   * @param provenance what the tokens stand on
   */
  record Completion<K, V>(
      String id,
      Origin<K, V> origin,
      List<Choice> choices,
      List<Logprobs> promptLogprobs,
      Instant emittedAt,
      Provenance provenance)
      implements GenerationResult<K, V> {

    /** {@return the tokens of the first choice} */
    public List<Integer> tokens() {
      return choices.getFirst().tokens();
    }

    /** {@return the text of the first choice} */
    public String text() {
      return choices.getFirst().text();
    }

    /** {@return how the first choice ended: an error is found here} */
    public Finish finish() {
      return choices.getFirst().finish();
    }

    /** {@return the tokens of all choices, and those of the prompt once} */
    public Finish.Usage usage() {
      final Finish.Usage first = finish().usage();
      return new Finish.Usage(
          first.promptTokens(),
          choices.stream().mapToInt(choice -> choice.finish().usage().completionTokens()).sum(),
          first.cachedTokens());
    }

    /** {@return until the first token that of the first choice, and the longest of all else} */
    public Finish.Timing timing() {
      final Finish.Timing first = finish().timing();
      return new Finish.Timing(
          first.queued(),
          first.timeToFirstToken(),
          longest(Finish.Timing::total),
          longest(Finish.Timing::longestGap));
    }

    private Duration longest(final Function<Finish.Timing, Duration> span) {
      return choices.stream()
          .map(choice -> span.apply(choice.finish().timing()))
          .max(Comparator.naturalOrder())
          .orElseThrow();
    }
  }

  /**
   * One of the continuations of a prompt.
   *
   * @param tokens its token ids, one that ended it included
   * @param logprobs one for each token, where the request asked for them; else empty
   * @param text its text
   * @param finish how it ended
   */
  record Choice(List<Integer> tokens, List<Logprobs> logprobs, String text, Finish finish) {}

  /**
   * A record that is no valid request; unless its id belongs to another request, a {@link
   * Completion} with an error stands beside it.
   *
   * @param <K> the key of the record
   * @param <V> its value
   * @param id the id that the record names
   * @param origin the record
   * @param reason what is wrong with it: the field, its value and what would be valid
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
