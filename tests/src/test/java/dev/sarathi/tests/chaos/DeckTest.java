package dev.sarathi.tests.chaos;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class DeckTest {
  private static final List<Fault> KINDS = Arrays.asList(Fault.values());

  @Test
  void shouldDrawEveryKindEquallyOften() {
    final Map<Fault, Integer> counts = new EnumMap<>(Fault.class);
    draw(new Deck(KINDS, 7), 5 * KINDS.size()).forEach(f -> counts.merge(f, 1, Integer::sum));
    assertThat(counts).hasSize(KINDS.size());
    assertThat(counts.values()).containsOnly(5);
  }

  @Test
  void shouldDrawInTheOrderOfTheSeed() {
    assertThat(draw(new Deck(KINDS, 7), 100)).isEqualTo(draw(new Deck(KINDS, 7), 100));
    assertThat(draw(new Deck(KINDS, 7), 100)).isNotEqualTo(draw(new Deck(KINDS, 8), 100));
  }

  @Test
  void shouldKeepAFaultThatIsNotPossibleForTheNextDraw() {
    // given
    final Deck deck = new Deck(KINDS, 7);
    final Fault first = draw(new Deck(KINDS, 7), 1).getFirst();

    // when
    final Fault instead = deck.draw(fault -> fault != first).orElseThrow();

    // then
    assertThat(instead).isNotEqualTo(first);
    assertThat(deck.draw(fault -> true)).contains(first);
    assertThat(deck.draw(fault -> false)).isEmpty();
  }

  private static List<Fault> draw(final Deck deck, final int count) {
    final List<Fault> drawn = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      drawn.add(deck.draw(fault -> true).orElseThrow());
    }
    return drawn;
  }
}
