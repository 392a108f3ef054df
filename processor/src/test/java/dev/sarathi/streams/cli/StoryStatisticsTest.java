package dev.sarathi.streams.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.Timing;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.Optional;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

final class StoryStatisticsTest {
  /** A histogram of three digits. */
  private static final Offset<Double> MILLISECONDS = within(0.1);

  /** Reads at 10, 20, 40 (two tokens) and, across the long prompt's prefill, at 90 and 100 ms. */
  private static Story fox() {
    final Story fox = Stories.sent("fox", 0);
    Stories.tokens(fox, 10, 1, "The");
    Stories.tokens(fox, 20, 1, " fox");
    Stories.tokens(fox, 40, 1, " ran");
    Stories.tokens(fox, 40, 1, " home");
    Stories.tokens(fox, 90, 5, " to the old mill");
    Stories.tokens(fox, 100, 1, ".");
    Stories.end(fox, FinishReason.STOP, Optional.of(new Timing(1.0, 8.0, 89.0, 12.5)));
    return fox;
  }

  private static Story longOne() {
    final Story story = Stories.sent("long", 50);
    Stories.tokens(story, 95, 1, "Yes");
    Stories.tokens(story, 120, 1, ".");
    Stories.end(story, FinishReason.STOP, Optional.of(new Timing(2.0, 40.0, 60.0, 20.0)));
    return story;
  }

  private final StoryStatistics statistics = StoryStatistics.of(List.of(fox(), longOne()));

  @Test
  void shouldMeasureTheFirstTokenFromSending() {
    assertThat(statistics.seenFirst().median()).isEqualTo(10, MILLISECONDS);
    assertThat(statistics.seenFirst().longest()).isEqualTo(45, MILLISECONDS);
    assertThat(statistics.engineFirst().median()).isEqualTo(8, MILLISECONDS);
    assertThat(statistics.engineFirst().longest()).isEqualTo(40, MILLISECONDS);
  }

  @Test
  void shouldSpreadTheTimeBetweenTwoReadsOverTheTokens() {
    // Per token: 10; 10, 10; five times 10; 10; and 25 of the long one.
    assertThat(statistics.seenBetween().median()).isEqualTo(10, MILLISECONDS);
    assertThat(statistics.seenBetween().longest()).isEqualTo(25, MILLISECONDS);
    assertThat(statistics.seenBetween().mean()).isEqualTo((9 * 10 + 25) / 10.0, MILLISECONDS);
  }

  @Test
  void shouldTakeFromTheEngineWhatItTells() {
    // Eight gaps and one gap in 81 and 20 ms.
    assertThat(statistics.engineBetween().mean()).isEqualTo(101 / 10.0, MILLISECONDS);
    assertThat(statistics.engineBetween().longest()).isEqualTo(20, MILLISECONDS);
    assertThat(statistics.stall().story().name()).isEqualTo("long");
    assertThat(statistics.stall().gap() / statistics.stall().decoding()).isEqualTo(1);
  }

  @Test
  void shouldCountTokensFromTheFirstPromptToTheLastToken() {
    assertThat(statistics.tokensPerSecond()).isEqualTo(12 / 0.120, MILLISECONDS);
  }

  @Test
  void shouldTellWhatTheLongPromptDidToTheOthers() {
    final StoryStatistics.LongPrompt effect = statistics.longPrompt();

    assertThat(effect.waited()).isEqualTo(45);
    assertThat(effect.engine()).isEqualTo(40);
    assertThat(effect.running()).isEqualTo(1);
    assertThat(effect.tokens()).isEqualTo(5);
    assertThat(effect.pause()).isEqualTo(50);
    assertThat(effect.pauseElsewhere()).isEqualTo(20);
  }

  @Test
  void shouldNotCountStoriesThatEndedBeforeTheLongPrompt() {
    final Story owl = Stories.sent("owl", 0);
    Stories.tokens(owl, 10, 1, "Who");
    Stories.end(owl, FinishReason.STOP, Optional.of(new Timing(1.0, 8.0, 8.0, 0.0)));

    final StoryStatistics.LongPrompt effect =
        StoryStatistics.of(List.of(owl, longOne())).longPrompt();

    assertThat(effect).isEqualTo(new StoryStatistics.LongPrompt(45, 40, 0, 0, 0, 0));
  }

  @Test
  void shouldPrintATable() {
    final StringWriter written = new StringWriter();

    new DemoReport(new PrintWriter(written)).print(List.of(fox(), longOne()), true);

    assertThat(written.toString().lines())
        .contains(
            "fox       …Once | The fox ran home to the old mill.",
            "TTFT seen by the consumer         10.0      45.0      27.5      45.0",
            "TBT in the engine                                     10.1      20.0",
            "12 tokens at 100 tokens/s.");
  }
}
