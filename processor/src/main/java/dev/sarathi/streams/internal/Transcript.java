package dev.sarathi.streams.internal;

import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.streams.GenerationResult.Completion;
import dev.sarathi.streams.GenerationResult.Provenance;
import dev.sarathi.streams.Origin;
import dev.sarathi.streams.internal.stored.StoredChunk;
import java.time.Instant;
import java.util.List;
import java.util.stream.Stream;

/**
 * All that a request has yielded: the log-probabilities of its prompt, and each of its choices.
 *
 * <p>Threading: confined to the stream thread.
 */
final class Transcript {
  private final Emitted prompt = new Emitted();
  private final List<Emitted> choices;

  Transcript(final int choices) {
    this.choices = Stream.generate(Emitted::new).limit(choices).toList();
  }

  List<Emitted> choices() {
    return choices;
  }

  void add(final TokenDelta delta) {
    prompt.add(delta.promptLogprobs());
    choices.get(delta.choice()).add(delta);
  }

  void add(final int choice, final StoredChunk chunk) {
    (choice == Position.PROMPT ? prompt : choices.get(choice)).add(chunk);
  }

  /** All of it, once every choice has ended. */
  <K, V> Completion<K, V> completion(
      final String id,
      final Origin<K, V> origin,
      final Provenance provenance,
      final Instant emittedAt) {
    return new Completion<>(
        id,
        origin,
        choices.stream().map(Emitted::choice).toList(),
        prompt.logprobs(),
        emittedAt,
        provenance);
  }
}
