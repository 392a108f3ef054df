package dev.sarathi.streams.internal;

import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.streams.RequestQueries.Page;
import dev.sarathi.streams.RequestState;
import dev.sarathi.streams.RequestState.Phase;
import dev.sarathi.streams.internal.stored.StoredAttempt;
import dev.sarathi.streams.internal.stored.StoredChunk;
import dev.sarathi.streams.internal.stored.StoredIdentity;
import dev.sarathi.streams.internal.stored.StoredRequest;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;

/**
 * The stores of an instance's tasks, read from outside.
 *
 * <p>Threading: confined to one thread; the stream threads write meanwhile, so what is found at one
 * place may be gone at the next.
 */
public final class RequestView {
  private final ReadOnlyKeyValueStore<Bytes, byte[]> requests;
  private final ReadOnlyKeyValueStore<Bytes, byte[]> progress;
  private final ReadOnlyKeyValueStore<String, byte[]> identities;

  public RequestView(final KafkaStreams streams, final StoreNames names) {
    this.requests = store(streams, names.requests());
    this.progress = store(streams, names.progress());
    this.identities = store(streams, names.identities());
  }

  private static <K> ReadOnlyKeyValueStore<K, byte[]> store(
      final KafkaStreams streams, final String name) {
    return streams.store(
        StoreQueryParameters.fromNameAndType(name, QueryableStoreTypes.keyValueStore()));
  }

  public Page list(final Optional<Phase> phase, final int limit, final int maxVisited) {
    final List<RequestState> found = new ArrayList<>();
    int visited = 0;
    try (KeyValueIterator<Bytes, byte[]> all = requests.all()) {
      while (all.hasNext()) {
        if (found.size() == limit || visited++ == maxVisited) {
          return new Page(found, false, requests.approximateNumEntries());
        }
        final KeyValue<Bytes, byte[]> next = all.next();
        final StoredAttempt attempt = attempt(next.key);
        if (phase.isEmpty() || phase.get() == phase(attempt)) {
          found.add(state(next.key, next.value, attempt));
        }
      }
    }
    return new Page(found, true, requests.approximateNumEntries());
  }

  public Optional<RequestState> find(final String id) {
    return Optional.ofNullable(identities.get(id))
        .map(bytes -> GenerationStores.decode(bytes, StoredIdentity::fromByteBuffer))
        .map(identity -> Bytes.wrap(Requests.bytes(identity.getPosition())))
        .flatMap(
            position ->
                Optional.ofNullable(requests.get(position))
                    .map(bytes -> state(position, bytes, attempt(position))));
  }

  private StoredAttempt attempt(final Bytes position) {
    return Optional.ofNullable(progress.get(Position.attemptKey(position)))
        .map(bytes -> GenerationStores.decode(bytes, StoredAttempt::fromByteBuffer))
        .orElseGet(() -> new StoredAttempt(0, 0, null));
  }

  private static Phase phase(final StoredAttempt attempt) {
    return attempt.getAttempts() == 0 ? Phase.WAITING : Phase.RUNNING;
  }

  private RequestState state(
      final Bytes position, final byte[] bytes, final StoredAttempt attempt) {
    final StoredRequest stored = GenerationStores.decode(bytes, StoredRequest::fromByteBuffer);
    final GenerationRequest request = Requests.requestOf(stored);
    return new RequestState(
        stored.getId(),
        phase(attempt),
        tokens(position),
        request.choices(),
        attempt.getAttempts(),
        request.priority(),
        request.tenant(),
        Instant.ofEpochMilli(stored.getTimestamp()),
        request.deadline(),
        stored.getTopic(),
        stored.getPartition(),
        stored.getOffset(),
        stored.getKey().map(Requests::bytes),
        attempt.getFingerprint());
  }

  private int tokens(final Bytes position) {
    int tokens = 0;
    try (KeyValueIterator<Bytes, byte[]> chunks =
        progress.range(Position.chunkKey(position, 0, 0), Position.endKey(position))) {
      while (chunks.hasNext()) {
        tokens +=
            GenerationStores.decode(chunks.next().value, StoredChunk::fromByteBuffer)
                .getTokens()
                .size();
      }
    }
    return tokens;
  }
}
