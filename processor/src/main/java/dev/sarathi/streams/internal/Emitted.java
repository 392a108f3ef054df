package dev.sarathi.streams.internal;

import dev.sarathi.runtime.TokenDelta;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** Tokens of a generation and the text that was emitted with them. */
record Emitted(int[] tokens, String text) {
  static final Emitted NOTHING = new Emitted(new int[0], "");

  /** This and what followed. */
  Emitted and(final List<TokenDelta> deltas) {
    final StringBuilder longer = new StringBuilder(text);
    deltas.forEach(delta -> longer.append(delta.text()));
    return new Emitted(
        IntStream.concat(
                Arrays.stream(tokens),
                deltas.stream().flatMapToInt(delta -> Arrays.stream(delta.tokens())))
            .toArray(),
        longer.toString());
  }

  List<Integer> tokenList() {
    return Arrays.stream(tokens).boxed().toList();
  }
}
