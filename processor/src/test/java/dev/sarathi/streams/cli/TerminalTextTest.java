package dev.sarathi.streams.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class TerminalTextTest {

  @Test
  void shouldMeasureColumnsAndNotCharacters() {
    assertThat(TerminalText.width("fox")).isEqualTo(3);
    assertThat(TerminalText.width("狐狸")).isEqualTo(4);
    assertThat(TerminalText.width("e\u0301")).isEqualTo(1);
    assertThat(TerminalText.width("🦊")).isEqualTo(2);
    assertThat(TerminalText.width("…⏎é")).isEqualTo(3);
  }

  @Test
  void shouldKeepWhatFits() {
    assertThat(TerminalText.head("狐狸 fox", 3)).isEqualTo("狐");
    assertThat(TerminalText.tail("fox 狐狸", 3)).isEqualTo("狸");
    assertThat(TerminalText.tail("🦊🦊", 3)).isEqualTo("🦊");
    assertThat(TerminalText.head("fox", 0)).isEmpty();
    assertThat(TerminalText.tail("fox", 9)).isEqualTo("fox");
  }

  @Test
  void shouldFillToTheWidthOrCutWithAnEllipsis() {
    assertThat(TerminalText.fit("fox", 5)).isEqualTo("fox  ");
    assertThat(TerminalText.fit("hedgehog", 5)).isEqualTo("hedg…");
    assertThat(TerminalText.fit("狐狸狐狸", 6)).isEqualTo("狐狸… ");
  }

  @Test
  void shouldBreakBetweenWordsAndWithinLongOnes() {
    assertThat(TerminalText.wrap("the old mill by\nthe river", 8))
        .containsExactly("the old", "mill by", "the", "river");
    assertThat(TerminalText.wrap("a hedgehoghedgehog ran", 8))
        .containsExactly("a", "hedgehog", "hedgehog", "ran");
    assertThat(TerminalText.wrap("狐狸狐狸", 5)).containsExactly("狐狸", "狐狸");
    assertThat(TerminalText.wrap("", 8)).containsExactly("");
  }

  @Test
  void shouldLetNoEscapeSequenceThrough() {
    assertThat(TerminalText.printable("one\n\u001b[2Jtwo\u0007")).isEqualTo("one  [2Jtwo ");
  }
}
