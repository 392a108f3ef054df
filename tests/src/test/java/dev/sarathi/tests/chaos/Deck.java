package dev.sarathi.tests.chaos;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.function.Predicate;

/**
 * Faults in the order of a seed. Each kind is in it once, and it is shuffled anew when it has run
 * out: every kind comes as often as any other, give or take one.
 *
 * <p>A fault that is not possible at the moment stays on top for the next draw, and the one below
 * it is drawn: the order is that of the seed as far as the cluster's state allows.
 */
final class Deck {
  private final List<Fault> kinds;
  private final Random random;
  private final List<Fault> cards = new ArrayList<>();

  Deck(final List<Fault> kinds, final long seed) {
    this.kinds = List.copyOf(kinds);
    this.random = new Random(seed);
  }

  /** The next fault that is possible; empty if none of those left is. */
  Optional<Fault> draw(final Predicate<Fault> isPossible) {
    if (cards.isEmpty()) {
      cards.addAll(kinds);
      Collections.shuffle(cards, random);
    }
    final Optional<Fault> drawn = cards.stream().filter(isPossible).findFirst();
    drawn.ifPresent(cards::remove);
    return drawn;
  }
}
