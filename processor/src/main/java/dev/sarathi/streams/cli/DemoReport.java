package dev.sarathi.streams.cli;

import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;

/** What the demo prints at its end. */
record DemoReport(PrintWriter out) {
  private static final int COLUMNS = 78;
  private static final int TEXT_LINES = 3;
  private static final int MARGIN = 10;

  /**
   * @param withStories whether the texts were shown in passing only
   */
  void print(final List<Story> stories, final boolean withStories) {
    if (withStories) {
      stories.forEach(this::print);
    }
    final StoryStatistics statistics = StoryStatistics.of(stories);
    out.println();
    table(statistics);
    line("");
    stall(statistics.stall());
    longPrompt(stories.getLast(), statistics.longPrompt());
    final int tokens = stories.stream().mapToInt(Story::tokens).sum();
    sentence("%,d tokens at %,.0f tokens/s.", tokens, statistics.tokensPerSecond());
    out.flush();
  }

  private void print(final Story story) {
    final List<String> text =
        TerminalText.wrap(TerminalText.printable(story.excerpt()), COLUMNS - MARGIN - 1);
    for (int i = 0; i < Math.min(TEXT_LINES, text.size()); i++) {
      final String more = i == TEXT_LINES - 1 && text.size() > TEXT_LINES ? "…" : "";
      out.println(TerminalText.fit(i == 0 ? story.name() : "", MARGIN) + text.get(i) + more);
    }
  }

  private void table(final StoryStatistics statistics) {
    line("%-28s %9s %9s %9s %9s", "milliseconds", "p50", "p99", "mean", "longest");
    row("TTFT seen by the consumer", statistics.seenFirst());
    row("TTFT in the engine", statistics.engineFirst());
    row("TBT seen by the consumer", statistics.seenBetween());
    final StoryStatistics.EngineBetween engine = statistics.engineBetween();
    line("%-28s %9s %9s %9.1f %9.1f", "TBT in the engine", "", "", engine.mean(), engine.longest());
    line("");
    sentence(
        "The consumer reads committed records only: TTFT is from sending a prompt to reading its"
            + " first token, TBT from read to read of a story, spread over the tokens that came."
            + " The engine tells of each story its TTFT, its duration and its longest gap.");
  }

  private void row(final String name, final StoryStatistics.Latency latency) {
    line(
        "%-28s %9.1f %9.1f %9.1f %9.1f",
        name, latency.median(), latency.p99(), latency.mean(), latency.longest());
  }

  private void stall(final StoryStatistics.Stall stall) {
    sentence(
        "Longest stall of a running story in the engine: %,.1f ms, %.1f %% of the %,.0f ms for which"
            + " %s was decoded.",
        stall.gap(),
        100 * stall.gap() / Math.max(stall.decoding(), stall.gap()),
        stall.decoding(),
        stall.story().name());
  }

  private void longPrompt(final Story story, final StoryStatistics.LongPrompt effect) {
    sentence(
        "While the prompt of %,d tokens was prefilled (%,.0f ms, %,.0f of them in the engine), the"
            + " %d running stories grew by %,d tokens; the longest pause that a reader saw was"
            + " %,.1f ms, and %,.1f ms in the rest of the run.",
        story.promptTokens(),
        effect.waited(),
        effect.engine(),
        effect.running(),
        effect.tokens(),
        effect.pause(),
        effect.pauseElsewhere());
  }

  private void sentence(final String format, final Object... arguments) {
    TerminalText.wrap(String.format(Locale.ROOT, format, arguments), COLUMNS).forEach(out::println);
  }

  private void line(final String format, final Object... arguments) {
    out.printf(Locale.ROOT, format + "%n", arguments);
  }
}
