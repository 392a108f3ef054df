package dev.sarathi.streams.cli;

import dev.sarathi.schemas.Timing;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalDouble;
import org.HdrHistogram.Histogram;

/**
 * What stories that are done took, in milliseconds: as seen by whoever read the tokens, and as the
 * engine measured it.
 *
 * @param seenFirst from sending a prompt to reading its first token
 * @param engineFirst from a prompt's arrival at the engine to its first token
 * @param seenBetween from one read of a story to the next, spread over the tokens it brought
 * @param engineBetween from a token of a story to the next; each story tells its mean and longest
 * @param tokensPerSecond over all stories, from sending the first prompt to reading the last token
 * @param stall the longest time between two tokens of a story in the engine
 * @param longPrompt what came of the others when the last prompt arrived
 */
record StoryStatistics(
    Latency seenFirst,
    Latency engineFirst,
    Latency seenBetween,
    EngineBetween engineBetween,
    double tokensPerSecond,
    Stall stall,
    LongPrompt longPrompt) {

  /** A distribution. */
  record Latency(double median, double p99, double mean, double longest) {
    private static Latency of(final Histogram micros) {
      return new Latency(
          micros.getValueAtPercentile(50) / 1e3,
          micros.getValueAtPercentile(99) / 1e3,
          micros.getMean() / 1e3,
          micros.getMaxValue() / 1e3);
    }
  }

  /** All that the timing of whole generations tells of the time between tokens. */
  record EngineBetween(double mean, double longest) {}

  /**
   * The longest gap of the story that had it, and how long that story took after its first token.
   */
  record Stall(Story story, double gap, double decoding) {}

  /**
   * The time from sending the long prompt to reading its first token.
   *
   * @param waited how long that was
   * @param engine how long of it the engine had the prompt
   * @param running how many stories were being decoded when it was sent
   * @param tokens how many tokens of theirs came in that time
   * @param pause the longest time between two reads of one of them that touches that time
   * @param pauseElsewhere the longest that does not
   */
  record LongPrompt(
      double waited, double engine, int running, int tokens, double pause, double pauseElsewhere) {}

  /**
   * @param stories all of them done and with at least one token; the last one had the long prompt
   */
  static StoryStatistics of(final List<Story> stories) {
    final long start = stories.stream().mapToLong(Story::sentAt).min().orElseThrow();
    final long end = stories.stream().mapToLong(story -> last(story).time()).max().orElseThrow();
    final int tokens = stories.stream().mapToInt(Story::tokens).sum();
    return new StoryStatistics(
        seenFirst(stories),
        engineFirst(stories),
        seenBetween(stories),
        engineBetween(stories),
        tokens / ((end - start) / 1e9),
        stories.stream()
            .map(StoryStatistics::stall)
            .max(Comparator.comparingDouble(Stall::gap))
            .orElseThrow(),
        longPrompt(stories.subList(0, stories.size() - 1), stories.getLast()));
  }

  private static Latency seenFirst(final List<Story> stories) {
    final Histogram micros = new Histogram(3);
    stories.forEach(story -> micros.recordValue((first(story) - story.sentAt()) / 1_000));
    return Latency.of(micros);
  }

  private static Latency engineFirst(final List<Story> stories) {
    final Histogram micros = new Histogram(3);
    stories.forEach(
        story -> micros.recordValue(Math.round(timing(story).getTimeToFirstTokenMs() * 1e3)));
    return Latency.of(micros);
  }

  private static Latency seenBetween(final List<Story> stories) {
    final Histogram micros = new Histogram(3);
    for (Story story : stories) {
      final List<Story.Arrival> arrivals = story.arrivals();
      for (int i = 1; i < arrivals.size(); i++) {
        final long gap = arrivals.get(i).time() - arrivals.get(i - 1).time();
        final int tokens = arrivals.get(i).tokens();
        micros.recordValueWithCount(gap / tokens / 1_000, tokens);
      }
    }
    return Latency.of(micros);
  }

  private static EngineBetween engineBetween(final List<Story> stories) {
    final double total = stories.stream().mapToDouble(StoryStatistics::decoding).sum();
    final int gaps = stories.stream().mapToInt(story -> story.tokens() - 1).sum();
    return new EngineBetween(total / Math.max(1, gaps), stallOf(stories));
  }

  private static double stallOf(final List<Story> stories) {
    return stories.stream().mapToDouble(s -> timing(s).getLongestGapMs()).max().orElseThrow();
  }

  private static Stall stall(final Story story) {
    return new Stall(story, timing(story).getLongestGapMs(), decoding(story));
  }

  private static LongPrompt longPrompt(final List<Story> others, final Story longOne) {
    final long from = longOne.sentAt();
    final long to = first(longOne);
    final List<Story> running =
        others.stream().filter(s -> first(s) <= from && last(s).time() > from).toList();
    final int tokens =
        running.stream()
            .flatMap(story -> story.arrivals().stream())
            .filter(arrival -> arrival.time() > from && arrival.time() <= to)
            .mapToInt(Story.Arrival::tokens)
            .sum();
    return new LongPrompt(
        (to - from) / 1e6,
        timing(longOne).getTimeToFirstTokenMs(),
        running.size(),
        tokens,
        pause(running, from, to, true).orElse(0),
        pause(running, from, to, false).orElse(0));
  }

  private static OptionalDouble pause(
      final List<Story> stories, final long from, final long to, final boolean touching) {
    double longest = -1;
    for (Story story : stories) {
      final List<Story.Arrival> arrivals = story.arrivals();
      for (int i = 1; i < arrivals.size(); i++) {
        final long before = arrivals.get(i - 1).time();
        final long after = arrivals.get(i).time();
        if ((after > from && before < to) == touching) {
          longest = Math.max(longest, (after - before) / 1e6);
        }
      }
    }
    return longest < 0 ? OptionalDouble.empty() : OptionalDouble.of(longest);
  }

  private static double decoding(final Story story) {
    return timing(story).getTotalMs() - timing(story).getTimeToFirstTokenMs();
  }

  private static long first(final Story story) {
    return story.arrivals().getFirst().time();
  }

  private static Story.Arrival last(final Story story) {
    return story.arrivals().getLast();
  }

  private static Timing timing(final Story story) {
    return story.timing().orElseThrow();
  }
}
