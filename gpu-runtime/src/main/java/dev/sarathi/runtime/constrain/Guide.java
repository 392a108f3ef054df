package dev.sarathi.runtime.constrain;

import dev.sarathi.runtime.schedule.TokenGuide;
import java.util.Arrays;

/**
 * Leads one choice along an automaton.
 *
 * <p>Threading: one thread at a time.
 */
public final class Guide implements TokenGuide {
  private final Automaton automaton;
  private final int[] endTokens;
  private Automaton.State state;
  private long generation;
  private int[] tokens = {};
  private int count;

  /**
   * @param endTokens tokens without text by which the choice ends, where it may
   */
  public Guide(final Automaton automaton, final int[] endTokens) {
    this.automaton = automaton;
    this.endTokens = endTokens.clone();
    this.generation = automaton.generation();
    this.state = automaton.start();
  }

  @Override
  public long[] allowed(final int remaining) {
    final long[] allowed;
    synchronized (automaton) {
      refresh();
      allowed = automaton.allowed(state, remaining - 1);
    }
    if (!state.accepts() || endTokens.length == 0) {
      return allowed;
    }
    final long[] withEnd = allowed.clone();
    for (final int token : endTokens) {
      withEnd[token >> 6] |= 1L << token;
    }
    return withEnd;
  }

  @Override
  public void accept(final int token) {
    if (!automaton.vocabulary().hasText(token)) {
      return;
    }
    if (count == tokens.length) {
      tokens = Arrays.copyOf(tokens, Math.max(16, 2 * count));
    }
    synchronized (automaton) {
      refresh();
      state = automaton.behind(state, token);
    }
    tokens[count++] = token;
  }

  /** The automaton may have forgotten its states; the tokens lead to the same one anew. */
  private void refresh() {
    final long now = automaton.generation();
    if (now != generation) {
      generation = now;
      state = automaton.start();
      for (int i = 0; i < count; i++) {
        state = automaton.behind(state, tokens[i]);
      }
    }
  }

  /** Whether the text so far is one that was asked for. */
  public boolean accepts() {
    return state.accepts();
  }

  /** Whether the text is one that was asked for, and nothing may follow. */
  public boolean isComplete() {
    return state.accepts() && state.isEnd();
  }

  /** So many further tokens suffice to end; not for a text that is none. */
  public int fewestTokens() {
    return state.cost();
  }

  /** Whether no text that was asked for begins with the tokens so far. */
  public boolean isLost() {
    return state.isDead();
  }
}
