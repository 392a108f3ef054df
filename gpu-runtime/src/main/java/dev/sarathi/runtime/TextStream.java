package dev.sarathi.runtime;

import dev.sarathi.runtime.text.IncrementalDetokenizer;
import dev.sarathi.runtime.text.StopStrings;
import dev.sarathi.runtime.text.Tokenizer;
import java.util.List;
import java.util.Optional;

/**
 * The text of one generation: tokens in, text that can no longer change out. A pure function of the
 * prompt and the tokens, so that a resumed generation rebuilds it by pushing its committed tokens
 * again. Without a tokenizer there is no text.
 */
final class TextStream {
  private final Optional<IncrementalDetokenizer> detokenizer;
  private final StopStrings stop;

  TextStream(final Optional<Tokenizer> tokenizer, final int[] prompt, final List<String> stop) {
    this.detokenizer = tokenizer.map(t -> new IncrementalDetokenizer(t, prompt));
    this.stop = new StopStrings(stop);
  }

  String push(final int token) {
    return detokenizer.map(d -> stop.push(d.push(token))).orElse("");
  }

  boolean stopped() {
    return stop.matched().isPresent();
  }

  /** What was held back for a character or a stop string that did not come. */
  String finish() {
    return detokenizer.map(d -> stop.push(d.finish()) + stop.finish()).orElse("");
  }
}
