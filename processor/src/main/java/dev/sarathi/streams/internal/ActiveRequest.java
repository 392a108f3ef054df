package dev.sarathi.streams.internal;

import dev.sarathi.runtime.GenerationHandle;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.runtime.schedule.Logprobs;
import dev.sarathi.streams.GenerationResult.Provenance;
import dev.sarathi.streams.GenerationResult.Tokens;
import dev.sarathi.streams.Origin;
import dev.sarathi.streams.internal.GenerationStores.Chunks;
import dev.sarathi.streams.internal.stored.StoredChunk;
import dev.sarathi.streams.internal.stored.StoredRequest;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.apache.kafka.common.utils.Bytes;

/**
 * A request of the window: in the engine, or about to be.
 *
 * <p>Threading: confined to the stream thread.
 */
final class ActiveRequest<K, V> {
  /** A chunk of progress is rewritten until it has so many tokens. */
  static final int CHUNK_TOKENS = 64;

  /** The prompt's log-probabilities come at once and are written once. */
  private static final int PROMPT_CHUNK_TOKENS = 1024;

  final Bytes position;
  final StoredRequest stored;
  final GenerationRequest request;
  final Origin<K, V> origin;
  final Provenance provenance;
  private final List<OpenChunk> open;
  private boolean progressed;
  private Optional<GenerationHandle> handle = Optional.empty();

  ActiveRequest(
      final Bytes position,
      final StoredRequest stored,
      final Origin<K, V> origin,
      final Provenance provenance) {
    this.position = position;
    this.stored = stored;
    this.request = Requests.requestOf(stored);
    this.origin = origin;
    this.provenance = provenance;
    this.open = IntStream.range(0, request.choices()).mapToObj(OpenChunk::new).toList();
  }

  String id() {
    return stored.getId();
  }

  /** The next tokens of a choice, as a result. */
  Tokens<K, V> tokens(final List<TokenDelta> deltas) {
    final TokenDelta first = deltas.getFirst();
    final TokenDelta last = deltas.getLast();
    if (deltas.size() == 1 && first.tokens().length == 1) {
      // Nothing to put together, as a rule where turns are frequent.
      return tokens(List.of(first.tokens()[0]), first.logprobs(), first.text(), first, last);
    }
    final Emitted part = new Emitted();
    deltas.forEach(part::add);
    return tokens(part.tokens(), part.logprobs(), part.text(), first, last);
  }

  private Tokens<K, V> tokens(
      final List<Integer> tokens,
      final List<Logprobs> logprobs,
      final String text,
      final TokenDelta first,
      final TokenDelta last) {
    return new Tokens<>(
        id(),
        origin,
        first.choice(),
        first.index(),
        tokens,
        logprobs,
        first.promptLogprobs(),
        text,
        last.emittedAt(),
        provenance,
        last.finish(),
        last.last());
  }

  /** Takes over where earlier attempts left it: an open chunk is rewritten from its beginning. */
  void restore(final int choice, final int number, final StoredChunk chunk) {
    if (choice != Position.PROMPT) {
      open.get(choice).restore(number, chunk);
    }
  }

  /** True the first time it is asked. */
  boolean firstProgress() {
    final boolean first = !progressed;
    progressed = true;
    return first;
  }

  /** Whether this attempt has brought a token. */
  boolean hasProgressed() {
    return progressed;
  }

  /** Writes down what came: each chunk that was filled, and each that is open. */
  void progress(final List<TokenDelta> deltas, final Chunks progress) {
    for (final TokenDelta delta : deltas) {
      final List<Logprobs> prompt = delta.promptLogprobs();
      for (int from = 0; from < prompt.size(); from += PROMPT_CHUNK_TOKENS) {
        final Emitted chunk = new Emitted();
        chunk.add(prompt.subList(from, Math.min(from + PROMPT_CHUNK_TOKENS, prompt.size())));
        progress.put(Position.PROMPT, from / PROMPT_CHUNK_TOKENS, chunk.stored());
      }
      open.get(delta.choice()).add(delta, progress);
    }
    deltas.stream()
        .mapToInt(TokenDelta::choice)
        .distinct()
        .forEach(choice -> open.get(choice).write(progress));
  }

  void submitted(final GenerationHandle generation) {
    handle = Optional.of(generation);
  }

  void abandon() {
    handle.ifPresent(GenerationHandle::abandon);
  }

  /** The chunk of a choice that is rewritten until it is full. */
  private static final class OpenChunk {
    private final int choice;
    private int number;
    private Emitted content = new Emitted();

    private OpenChunk(final int choice) {
      this.choice = choice;
    }

    private void restore(final int stored, final StoredChunk chunk) {
      number = stored;
      content = new Emitted();
      content.add(chunk);
      if (isFull()) {
        next();
      }
    }

    private void add(final TokenDelta delta, final Chunks progress) {
      content.add(delta);
      if (isFull()) {
        write(progress);
        next();
      }
    }

    private void write(final Chunks progress) {
      if (!content.isEmpty()) {
        progress.put(choice, number, content.stored());
      }
    }

    private boolean isFull() {
      return content.size() >= CHUNK_TOKENS;
    }

    private void next() {
      number++;
      content = new Emitted();
    }
  }
}
