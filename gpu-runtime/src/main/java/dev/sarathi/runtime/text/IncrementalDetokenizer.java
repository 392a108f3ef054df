package dev.sarathi.runtime.text;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Turns the token ids of one generation into text as they come, and gives out only what later
 * tokens cannot change: a character whose bytes are spread over several tokens appears with the
 * last of them. Put together, the increments are the text that {@link Tokenizer#decode} finds for
 * all the tokens behind the prompt.
 *
 * <p>The state is a function of the prompt and the tokens pushed: to restore it, push the same
 * tokens again. It holds {@value #LIMIT} ids at most, whatever they are. A byte that belongs to no
 * character comes out as U+FFFD, once no later token can complete it or at {@link #finish}.
 *
 * <p>Not for use by several threads at once.
 */
public final class IncrementalDetokenizer {
  /**
   * The most tokens, and the most U+FFFD, that may still turn into one character: UTF-8 takes four
   * bytes, and some decoders show every byte of an unfinished character apart.
   */
  private static final int UNFINISHED = 3;

  private static final int CONTEXT = 6;
  private static final int LIMIT = 32;
  private static final char REPLACEMENT = '\uFFFD';

  private final Tokenizer tokenizer;

  // What a token stands for depends on those before it (the first of a text loses its space, say),
  // so new tokens are decoded behind a few old ones, whose text, `given`, is then taken off.
  private int[] window;
  private int context;
  private String given;

  /**
   * Begins a generation.
   *
   * @param promptIds the tokens it continues; the last few of them suffice
   */
  public IncrementalDetokenizer(final Tokenizer tokenizer, final int... promptIds) {
    this.tokenizer = tokenizer;
    final int[] tail =
        Arrays.stream(promptIds, Math.max(0, promptIds.length - CONTEXT), promptIds.length)
            .filter(tokenizer::hasText)
            .toArray();
    settle(tail);
  }

  /**
   * Takes the next token.
   *
   * @return the text that has become certain, often that of the token, possibly empty
   */
  public String push(final int id) {
    if (!tokenizer.hasText(id)) {
      return "";
    }
    window = Arrays.copyOf(window, window.length + 1);
    window[window.length - 1] = id;
    String text = tokenizer.decode(window);
    int certain = withoutUnfinished(text);
    if (rewritesContext(text)) {
      if (certain < text.length() && window.length - context <= UNFINISHED) {
        return "";
      }
      dropContext();
      text = tokenizer.decode(window);
      certain = withoutUnfinished(text);
    }
    final int start = commonPrefix(given, text);
    final int end = Math.max(start, certain);
    if (certain == text.length()) {
      settle(Arrays.copyOfRange(window, Math.max(context, window.length - CONTEXT), window.length));
    } else if (window.length < LIMIT) {
      given = text.substring(0, end);
    } else {
      window = Arrays.copyOfRange(window, LIMIT / 2, LIMIT);
      context = 0;
      final String tail = tokenizer.decode(window);
      given = tail.substring(0, withoutUnfinished(tail));
    }
    return text.substring(start, end);
  }

  /** Ends the generation; gives out what was still held back. */
  public String finish() {
    String text = tokenizer.decode(window);
    if (rewritesContext(text)) {
      dropContext();
      text = tokenizer.decode(window);
    }
    final String rest = text.substring(commonPrefix(given, text));
    settle(new int[0]);
    return rest;
  }

  /** All the text of these tokens is given out. */
  private void settle(final int[] tokens) {
    window = tokens;
    context = tokens.length;
    given = tokenizer.decode(tokens);
  }

  /**
   * Whether text already given out reads otherwise now. Decoders with byte tokens do that: one
   * stray byte turns the whole run of bytes around it to U+FFFD, finished characters included. (A
   * prompt that ends inside a character is no such case.)
   */
  private boolean rewritesContext(String text) {
    return given
        .chars()
        .skip(commonPrefix(given, text))
        .anyMatch(character -> character != REPLACEMENT);
  }

  private void dropContext() {
    window = Arrays.copyOfRange(window, context, window.length);
    context = 0;
    given = "";
  }

  private static int withoutUnfinished(String text) {
    int end = text.length();
    while (end > 0 && text.length() - end < UNFINISHED && text.charAt(end - 1) == REPLACEMENT) {
      end--;
    }
    return end;
  }

  private static int commonPrefix(final String a, final String b) {
    final int length = Math.min(a.length(), b.length());
    return IntStream.range(0, length)
        .filter(i -> a.charAt(i) != b.charAt(i))
        .findFirst()
        .orElse(length);
  }
}
