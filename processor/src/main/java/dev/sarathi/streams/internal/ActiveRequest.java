package dev.sarathi.streams.internal;

import dev.sarathi.runtime.Finish;
import dev.sarathi.runtime.GenerationHandle;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.streams.GenerationResult.Completion;
import dev.sarathi.streams.GenerationResult.Provenance;
import dev.sarathi.streams.GenerationResult.Tokens;
import dev.sarathi.streams.Origin;
import dev.sarathi.streams.internal.stored.StoredChunk;
import dev.sarathi.streams.internal.stored.StoredRequest;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.common.utils.Bytes;

/**
 * A request of the window: in the engine, or about to be.
 *
 * <p>Threading: confined to the stream thread.
 */
final class ActiveRequest<K, V> {
  /** A chunk of progress is rewritten until it has so many tokens. */
  static final int CHUNK_TOKENS = 64;

  final Bytes position;
  final StoredRequest stored;
  final GenerationRequest request;
  final Origin<K, V> origin;
  final Provenance provenance;
  private final List<Integer> openTokens = new ArrayList<>();
  private final StringBuilder openText = new StringBuilder();
  private int closedChunks;
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
  }

  String id() {
    return stored.getId();
  }

  /** The next tokens, as a result. */
  Tokens<K, V> tokens(final List<TokenDelta> deltas) {
    final Emitted part = Emitted.NOTHING.and(deltas);
    return new Tokens<>(
        id(),
        origin,
        deltas.getFirst().index(),
        part.tokenList(),
        part.text(),
        deltas.getLast().emittedAt(),
        provenance,
        deltas.getLast().finish());
  }

  /** All of it, as a result. */
  Completion<K, V> completion(final Emitted all, final Finish finish, final Instant emittedAt) {
    return new Completion<>(
        id(), origin, all.tokenList(), all.text(), emittedAt, provenance, finish);
  }

  /** Takes over where earlier attempts left it: the open chunk is rewritten from its beginning. */
  void restore(final int chunk, final Optional<StoredChunk> open) {
    closedChunks = chunk;
    open.ifPresent(
        begun -> {
          openTokens.addAll(begun.getTokens());
          openText.append(begun.getText());
        });
  }

  /** True the first time it is asked. */
  boolean firstProgress() {
    final boolean first = !progressed;
    progressed = true;
    return first;
  }

  void emit(final int token, final String text) {
    openTokens.add(token);
    openText.append(text);
  }

  boolean chunkIsFull() {
    return openTokens.size() == CHUNK_TOKENS;
  }

  int openChunk() {
    return closedChunks;
  }

  List<Integer> openTokens() {
    return List.copyOf(openTokens);
  }

  String openText() {
    return openText.toString();
  }

  void beginChunk() {
    closedChunks++;
    openTokens.clear();
    openText.setLength(0);
  }

  void submitted(final GenerationHandle generation) {
    handle = Optional.of(generation);
  }

  void abandon() {
    handle.ifPresent(GenerationHandle::abandon);
  }
}
