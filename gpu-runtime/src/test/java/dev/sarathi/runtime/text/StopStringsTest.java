package dev.sarathi.runtime.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class StopStringsTest {
  @Test
  void shouldLetTextThroughUpToTheStopString() {
    // given
    final StopStrings stops = new StopStrings(List.of("END"));

    // then
    assertThat(stops.push("a story E")).isEqualTo("a story ");
    assertThat(stops.push("N")).isEmpty();
    assertThat(stops.push("D and more")).isEmpty();
    assertThat(stops.matched()).contains("END");
    assertThat(stops.push("more")).isEmpty();
    assertThat(stops.finish()).isEmpty();
  }

  @Test
  void shouldGiveOutHeldTextOnceItCannotBecomeAStopString() {
    final StopStrings stops = new StopStrings(List.of("aab"));

    assertThat(stops.push("aaa")).isEqualTo("a");
    assertThat(stops.push("c")).isEqualTo("aac");
    assertThat(stops.matched()).isEmpty();
  }

  @Test
  void shouldGiveOutHeldTextAtTheEnd() {
    final StopStrings stops = new StopStrings(List.of("\n\nUser:"));

    assertThat(stops.push("Bye.\n\n")).isEqualTo("Bye.");
    assertThat(stops.finish()).isEqualTo("\n\n");
    assertThat(stops.matched()).isEmpty();
  }

  @Test
  void shouldWaitForAStopStringThatBeganEarlier() {
    final StopStrings stops = new StopStrings(List.of("abcd", "bc"));

    assertThat(stops.push("xabc")).isEqualTo("x");
    assertThat(stops.matched()).isEmpty();
    assertThat(stops.push("e")).isEqualTo("a");
    assertThat(stops.matched()).contains("bc");
  }

  @Test
  void shouldFindAtTheEndWhatWasWaitingForALongerOne() {
    final StopStrings stops = new StopStrings(List.of("ab", "abc"));

    assertThat(stops.push("xab")).isEqualTo("x");
    assertThat(stops.matched()).isEmpty();
    assertThat(stops.finish()).isEmpty();
    assertThat(stops.matched()).contains("ab");
  }

  @Test
  void shouldRefuseAnEmptyStopString() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new StopStrings(List.of("x", "")))
        .withMessageContaining("empty");
  }

  @Property
  void shouldEqualASearchOfTheWholeTextHoweverItIsCut(
      @ForAll("texts") final String text,
      @ForAll("stops") final List<String> stops,
      @ForAll final List<@IntRange(min = 0, max = 4) Integer> cuts) {
    // given
    record Match(int start, String stop) {}
    final Optional<Match> expected =
        stops.stream()
            .filter(text::contains)
            .map(stop -> new Match(text.indexOf(stop), stop))
            .min(
                Comparator.comparingInt(Match::start)
                    .thenComparing(match -> -match.stop().length()));

    // when
    final StopStrings streaming = new StopStrings(stops);
    final StringBuilder out = new StringBuilder();
    int from = 0;
    for (int cut : cuts) {
      final int to = Math.min(text.length(), from + cut);
      out.append(streaming.push(text.substring(from, to)));
      from = to;
    }
    out.append(streaming.push(text.substring(from))).append(streaming.finish());

    // then
    assertThat(out.toString())
        .isEqualTo(expected.map(match -> text.substring(0, match.start())).orElse(text));
    assertThat(streaming.matched()).isEqualTo(expected.map(Match::stop));
  }

  @Property
  void shouldGiveOutAsMuchAsIsCertain(
      @ForAll("texts") final String text, @ForAll("stops") final List<String> stops) {
    // given
    final StopStrings streaming = new StopStrings(stops);
    final StringBuilder out = new StringBuilder();

    // when
    for (char character : text.toCharArray()) {
      out.append(streaming.push(String.valueOf(character)));
    }

    // then
    if (streaming.matched().isEmpty()) {
      final String held = text.substring(out.length());
      assertThat(
              held.isEmpty()
                  || stops.stream()
                      .anyMatch(stop -> stop.startsWith(held) || held.startsWith(stop)))
          .isTrue();
    }
  }

  @Provide
  Arbitrary<String> texts() {
    return Arbitraries.strings().withChars('a', 'b', 'c').ofMaxLength(24);
  }

  @Provide
  Arbitrary<List<String>> stops() {
    return Arbitraries.strings()
        .withChars('a', 'b', 'c')
        .ofMinLength(1)
        .ofMaxLength(5)
        .list()
        .ofMaxSize(4);
  }
}
