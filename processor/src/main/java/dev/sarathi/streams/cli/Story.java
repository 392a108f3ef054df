package dev.sarathi.streams.cli;

import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.Timing;
import dev.sarathi.schemas.TokenRecord;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A request of the demo, and what a reader of its tokens has seen. Not thread-safe.
 *
 * <p>Times are those of {@link System#nanoTime}.
 */
final class Story {

  /** How far a story is, as far as a reader can tell. */
  enum State {
    /** Not sent yet. */
    WAITING,
    /** Sent, without a token yet. */
    PREFILL,
    DECODING,
    DONE
  }

  /** Tokens that became visible together. */
  record Arrival(long time, int tokens) {}

  private static final Set<FinishReason> GOOD_ENDS = Set.of(FinishReason.STOP, FinishReason.LENGTH);

  private static final int EXCERPT_WORDS = 4;

  private final PromptRequest request;
  private final int promptTokens;
  private final List<Arrival> arrivals = new ArrayList<>();
  private Optional<FollowedGeneration> generation = Optional.empty();
  private Optional<TokenRecord> terminal = Optional.empty();
  private boolean sent;
  private long sentAt;
  private int tokens;

  Story(final PromptRequest request, final int promptTokens) {
    this.request = request;
    this.promptTokens = promptTokens;
  }

  PromptRequest request() {
    return request;
  }

  String name() {
    return request.getId().orElseThrow();
  }

  int promptTokens() {
    return promptTokens;
  }

  State state() {
    if (!sent) {
      return State.WAITING;
    }
    if (terminal.isPresent()) {
      return State.DONE;
    }
    return arrivals.isEmpty() ? State.PREFILL : State.DECODING;
  }

  void sent(final long time) {
    sent = true;
    sentAt = time;
  }

  /** Takes the next record, which became visible at {@code time} with all others of one poll. */
  void add(final TokenRecord record, final long time) {
    if (generation.isEmpty()) {
      generation = Optional.of(new FollowedGeneration(record));
    }
    generation.get().add(record);
    final int count = record.getTokenIds().size();
    tokens += count;
    if (count > 0) {
      final boolean samePoll = !arrivals.isEmpty() && arrivals.getLast().time() == time;
      final int before = samePoll ? arrivals.removeLast().tokens() : 0;
      arrivals.add(new Arrival(time, before + count));
    }
    if (record.getFinishReason().isPresent()) {
      terminal = Optional.of(record);
    }
  }

  /** All that was generated. */
  String text() {
    return generation.map(FollowedGeneration::text).orElse("");
  }

  /** All that was generated, behind the last words of the prompt. */
  String excerpt() {
    final String[] prompt = request.getPrompt().orElse("").split("\\s+");
    final List<String> end =
        List.of(prompt).subList(Math.max(0, prompt.length - EXCERPT_WORDS), prompt.length);
    return "…" + String.join(" ", end) + " | " + text().strip();
  }

  /** How many tokens were generated. */
  int tokens() {
    return tokens;
  }

  long sentAt() {
    return sentAt;
  }

  /** When tokens became visible, and how many; in order, no two at the same time. */
  List<Arrival> arrivals() {
    return List.copyOf(arrivals);
  }

  /** What the engine measured; once it is done. */
  Optional<Timing> timing() {
    return terminal.flatMap(TokenRecord::getTiming);
  }

  /** Why it ended otherwise than by the model's choice or at its length, if it did. */
  Optional<String> failure() {
    return terminal
        .filter(record -> record.getFinishReason().filter(GOOD_ENDS::contains).isEmpty())
        .map(FollowedGeneration::ending);
  }
}
