package dev.sarathi.streams.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.schemas.FinishReason;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class StoryViewTest {

  private final StringWriter written = new StringWriter();
  private final PrintWriter out = new PrintWriter(written);

  @ParameterizedTest
  @CsvSource({"80,24", "200,60", "40,10", "20,5", "5,3", "1,1", "80,1000"})
  void shouldNeverBeLargerThanTheTerminal(final int columns, final int rows) {
    final StoryView.Screen screen = new StoryView.Screen(out, new Terminal(columns, rows));

    final List<String> lines = screen.lines(stories(), 1_000_000_000L);

    assertThat(lines).hasSizeLessThanOrEqualTo(rows);
    assertThat(lines)
        .allSatisfy(
            line -> assertThat(TerminalText.width(plain(line))).isLessThanOrEqualTo(columns));
  }

  @Test
  void shouldShowNameStateTokensAndTheEndOfTheText() {
    final StoryView.Screen screen = new StoryView.Screen(out, new Terminal(50, 9));

    assertThat(screen.lines(stories(), 2_500_000_000L))
        .extracting(StoryViewTest::plain)
        .extracting(String::stripTrailing)
        .containsExactly(
            "Sarathi Streams: 5 stories, 11 tokens, 2.5 s",
            "Soon a prompt of 1,900 tokens will arrive.",
            "",
            "fox      prefill      0",
            "owl      decoding     4  me the owl had a red kite",
            "狐狸     decoding     3  狐狸狐狸狐狸狐狸狐狸狐狸",
            "hedgeho… done         4  " + "hog".repeat(7) + " ran",
            "long     waiting      0");
  }

  @Test
  void shouldWrapTheTextWhereThereIsRoom() {
    final StoryView.Screen screen = new StoryView.Screen(out, new Terminal(40, 18));

    assertThat(screen.lines(stories(), 0))
        .extracting(StoryViewTest::plain)
        .contains("owl      decoding     4  Once upon a", "                         time the owl");
  }

  @Test
  void shouldGiveTheTerminalBackOnce() {
    final StoryView.Screen screen = new StoryView.Screen(out, new Terminal(80, 24));
    screen.refresh(stories(), 0);
    assertThat(written.toString())
        .startsWith("\u001b[?1049h\u001b[?25l")
        .doesNotContain("\u001b[?25h");

    screen.close();
    screen.close();
    screen.refresh(stories(), 1_000_000_000L);

    assertThat(written.toString())
        .endsWith("\u001b[?25h\u001b[?1049l")
        .containsOnlyOnce("\u001b[?25h");
  }

  @Test
  void shouldPrintALineForEachEvent() {
    final StoryView view = new StoryView.Lines(out);
    final Story fox = Stories.sent("fox", 0);
    final Story last = Stories.waiting("long", 1_900);
    final List<Story> stories = List.of(fox, last);

    view.refresh(stories, 0);
    Stories.tokens(fox, 10, 2, "The fox\nran ");
    view.refresh(stories, 10_000_000);
    last.sent(20_000_000);
    view.refresh(stories, 20_000_000);
    Stories.tokens(fox, 30, 2, "home.");
    Stories.end(fox, FinishReason.LENGTH, Optional.empty());
    Stories.tokens(last, 30, 1, "Yes.");
    Stories.end(last, FinishReason.STOP, Optional.empty());
    view.refresh(stories, 30_000_000);

    assertThat(written.toString().lines())
        .containsExactly(
            "  0.01 s  fox      begins",
            "  0.02 s  long     arrives: a prompt of 1,900 tokens",
            "  0.03 s  fox      ends, 4 tokens: …Once | The fox ran home.",
            "  0.03 s  long     begins",
            "  0.03 s  long     ends, 1 tokens: …Once | Yes.");
  }

  private static List<Story> stories() {
    final List<Story> stories = new ArrayList<>();
    stories.add(Stories.sent("fox", 0));
    stories.add(Stories.sent("owl", 0));
    Stories.tokens(stories.get(1), 1, 4, "Once upon a time the owl had a red kite");
    stories.add(Stories.sent("狐狸", 0));
    Stories.tokens(stories.get(2), 1, 3, "狐狸".repeat(30));
    stories.add(Stories.sent("hedgehogs", 0));
    Stories.tokens(stories.get(3), 1, 4, "hedge" + "hog".repeat(40) + "\u001bran");
    Stories.end(stories.get(3), FinishReason.STOP, Optional.empty());
    stories.add(Stories.waiting("long", 1_900));
    return stories;
  }

  private static String plain(final String text) {
    return text.replaceAll("\u001b\\[[?0-9;]*[A-Za-z]", "");
  }
}
