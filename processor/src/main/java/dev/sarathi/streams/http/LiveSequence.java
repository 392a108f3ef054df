package dev.sarathi.streams.http;

import dev.sarathi.runtime.Iteration;
import java.util.function.LongConsumer;

/**
 * How far an engine is with a sequence.
 *
 * <p>Threading: the engine thread writes; any thread reads what the methods without arguments tell.
 */
final class LiveSequence {
  private static final long NEVER = Long.MIN_VALUE;

  private final long sequence;
  private final String request;
  private final int choice;
  private volatile Phase phase = Phase.PREFILL;
  private volatile int known;
  private volatile int prompt = -1;
  private volatile int generated;
  private long prefillEnd = NEVER;
  private long lastToken = NEVER;

  enum Phase {
    PREFILL,
    DECODE,
    PREEMPTED
  }

  LiveSequence(final Iteration.Part first) {
    sequence = first.sequence();
    request = first.request();
    choice = first.choice();
  }

  /**
   * An iteration has computed a part of it.
   *
   * @param gap takes the time between two tokens that is known now
   */
  void computed(final Iteration.Part part, final long end, final LongConsumer gap) {
    known = part.start() + part.tokens();
    if (part.prefill()) {
      phase = Phase.PREFILL;
      prefillEnd = end;
      return;
    }
    phase = Phase.DECODE;
    if (prompt < 0) {
      prompt = part.start();
    }
    // The first token came with the last chunk of the prefill, as is seen only now.
    generated = known - prompt + 1;
    token(prefillEnd, gap);
    prefillEnd = NEVER;
    token(end, gap);
  }

  private void token(final long at, final LongConsumer gap) {
    if (at != NEVER) {
      if (lastToken != NEVER) {
        gap.accept(at - lastToken);
      }
      lastToken = at;
    }
  }

  void preempted() {
    phase = Phase.PREEMPTED;
  }

  long sequence() {
    return sequence;
  }

  String request() {
    return request;
  }

  int choice() {
    return choice;
  }

  Phase phase() {
    return phase;
  }

  /** Positions whose KV is computed. */
  int known() {
    return known;
  }

  /** Tokens generated here; 0 while the prompt is prefilled. */
  int generated() {
    return generated;
  }
}
