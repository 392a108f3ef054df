package dev.sarathi.streams.replay;

import dev.sarathi.streams.SarathiConfig;
import dev.sarathi.streams.replay.RecordedGenerations.Generation;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.kafka.common.config.ConfigException;

/**
 * Runs recorded prompts once more and compares every token with what was written then.
 *
 * <p>The replay is an application of its own: its id, group, topics and state are nobody else's, so
 * that it may run beside the one that it replays. It needs memory for its engines, and for the
 * prompts and tokens that it compares.
 */
public final class Replay {
  private final RecordedGenerations recorded;
  private final Map<String, Generation> expected = new HashMap<>();
  private final List<Difference> differences = new ArrayList<>();
  private final SortedMap<String, Integer> foreign = new TreeMap<>();
  private int unfinished;
  private int incomplete;
  private int ambiguous;
  private int generations;
  private int cut;
  private long tokens;
  private String fingerprint = "";

  private Replay(final RecordedGenerations recorded) {
    this.recorded = recorded;
  }

  /** Hears how far a replay is. */
  public interface Progress {
    /**
     * @param compared generations that were compared
     * @param all generations that are to be
     * @param tokens tokens that were compared
     * @param differences generations that differ
     */
    void at(int compared, int all, long tokens, int differences);
  }

  /**
   * Replays.
   *
   * @throws ConfigException naming a setting, its value and what would be valid
   * @throws IllegalStateException if topics, brokers or registry are not there, or the replay does
   *     not end
   */
  public static ReplayReport run(final ReplayOptions options, final Progress progress)
      throws InterruptedException {
    final SarathiConfig config = SarathiConfig.of(options.properties());
    final Replay replay =
        new Replay(
            RecordedGenerations.read(config, options.from(), options.to(), options.sample()));
    replay.choose();
    if (!replay.expected.isEmpty()) {
      replay.compare(config, options, progress);
    }
    return replay.report();
  }

  private void choose() {
    for (final Generation generation : recorded.generations()) {
      final Optional<Recording> recording = generation.recording();
      if (recording.filter(Recording::hasEnded).isEmpty()) {
        unfinished++;
      } else if (!recording.get().isComplete()) {
        incomplete++;
      } else if (generation.isAmbiguous()) {
        ambiguous++;
      } else {
        expected.put(generation.id(), generation);
      }
    }
  }

  private void compare(
      final SarathiConfig config, final ReplayOptions options, final Progress progress)
      throws InterruptedException {
    final int all = expected.size();
    try (Shadow shadow = Shadow.start(config, options)) {
      final Map<String, String> ids =
          shadow.send(expected.values().stream().map(Generation::shadow).toList());
      progress.at(0, all, 0, 0);
      shadow.follow(
          all,
          (key, replayed) -> {
            final Generation generation =
                Optional.ofNullable(expected.get(key)).orElseGet(() -> expected.get(ids.get(key)));
            compare(generation, replayed);
            progress.at(generations, all, tokens, differences.size());
          });
    }
  }

  private void compare(final Generation generation, final Recording here) {
    final Recording there = generation.recording().orElseThrow();
    fingerprint = here.fingerprints().iterator().next();
    there.fingerprints().stream()
        .filter(made -> !made.equals(fingerprint))
        .forEach(made -> foreign.merge(made, 1, Integer::sum));
    generations++;
    tokens += there.tokens();
    if (!there.isRejected()
        && there.choices().values().stream().anyMatch(Recording.Choice::isCut)) {
      cut++;
    }
    Difference.between(generation.id(), there, here).ifPresent(differences::add);
  }

  private ReplayReport report() {
    return new ReplayReport(
        generations,
        tokens,
        cut,
        unfinished,
        incomplete,
        ambiguous,
        recorded.undecodable(),
        fingerprint,
        foreign,
        List.copyOf(differences));
  }
}
