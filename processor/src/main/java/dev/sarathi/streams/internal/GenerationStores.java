package dev.sarathi.streams.internal;

import dev.sarathi.streams.internal.stored.StoredAttempt;
import dev.sarathi.streams.internal.stored.StoredChunk;
import dev.sarathi.streams.internal.stored.StoredIdentity;
import dev.sarathi.streams.internal.stored.StoredRequest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.BiPredicate;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.avro.util.ClassSecurityValidator;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.WindowStore;
import org.apache.kafka.streams.state.WindowStoreIterator;

/**
 * The state of one task. Values are Avro single objects: each names its schema by fingerprint, and
 * every schema that was ever written is compiled in, so restoring needs no registry.
 *
 * <p>Threading: confined to the stream thread.
 */
final class GenerationStores {
  static {
    // Avro makes no instance of a class that it was not told to trust. Whom else the application
    // trusts stays as it is.
    ClassSecurityValidator.setGlobal(
        ClassSecurityValidator.composite(
            ClassSecurityValidator.getGlobal(),
            type -> type.getPackage() == StoredRequest.class.getPackage()));
    StoredSchemas.load();
  }

  private final KeyValueStore<Bytes, byte[]> requests;
  private final KeyValueStore<Bytes, byte[]> progress;
  private final KeyValueStore<String, byte[]> identities;
  private final WindowStore<String, byte[]> finished;
  private final Duration retention;

  /** How many requests there are; RocksDB's estimate until the window has once held them all. */
  private long unfinished;

  GenerationStores(
      final ProcessorContext<?, ?> context, final StoreNames names, final Duration retention) {
    this.requests = context.getStateStore(names.requests());
    this.progress = context.getStateStore(names.progress());
    this.identities = context.getStateStore(names.identities());
    this.finished = context.getStateStore(names.finished());
    this.retention = retention;
    this.unfinished = identities.approximateNumEntries();
  }

  /** How many requests are unfinished, roughly so after a restart with a backlog. */
  long unfinished() {
    return unfinished;
  }

  /** Puts right what was estimated. */
  void counted(final long requestsUnfinished) {
    unfinished = requestsUnfinished;
  }

  /**
   * A request that is there, or was not long ago.
   *
   * @param failed whether it has ended in an error
   */
  record Known(byte[] digest, boolean failed) {
    private static final int DIGEST_BYTES = 16;

    private byte[] encode() {
      // One byte more of a failed one: what earlier versions have stored still reads.
      return Arrays.copyOf(digest, failed ? DIGEST_BYTES + 1 : DIGEST_BYTES);
    }

    private static Known decode(final byte[] bytes) {
      return new Known(Arrays.copyOf(bytes, DIGEST_BYTES), bytes.length > DIGEST_BYTES);
    }
  }

  /** The request that has this id, unfinished or finished not long ago. */
  Optional<Known> known(final String id, final long now) {
    final Optional<Known> unfinished =
        identity(id).map(identity -> new Known(Requests.bytes(identity.getDigest()), false));
    if (unfinished.isPresent()) {
      return unfinished;
    }
    // Without an upper bound: the instance that finished it may have had a clock that is ahead.
    try (WindowStoreIterator<byte[]> found =
        finished.backwardFetch(
            id, Instant.ofEpochMilli(now).minus(retention), Instant.ofEpochMilli(Long.MAX_VALUE))) {
      return found.hasNext() ? Optional.of(Known.decode(found.next().value)) : Optional.empty();
    }
  }

  /** The position of an unfinished request. */
  Optional<Bytes> positionOf(final String id) {
    return identity(id).map(identity -> Bytes.wrap(Requests.bytes(identity.getPosition())));
  }

  private Optional<StoredIdentity> identity(final String id) {
    return Optional.ofNullable(identities.get(id))
        .map(bytes -> decode(bytes, StoredIdentity::fromByteBuffer));
  }

  Optional<StoredRequest> request(final Bytes position) {
    return Optional.ofNullable(requests.get(position)).map(GenerationStores::request);
  }

  /** Stores a new request. */
  void put(final Bytes position, final StoredRequest request, final byte[] encoded) {
    unfinished++;
    requests.put(position, encoded);
    identities.put(
        request.getId(),
        encode(
            StoredIdentity.newBuilder()
                .setPosition(ByteBuffer.wrap(position.get()))
                .setDigest(ByteBuffer.wrap(Requests.digest(request)))
                .build()));
  }

  /**
   * Hands over the requests from {@code from} on, in order, until {@code visitor} has enough.
   *
   * @return whether the end was reached
   */
  boolean visit(final Optional<Bytes> from, final BiPredicate<Bytes, StoredRequest> visitor) {
    try (KeyValueIterator<Bytes, byte[]> all = requests.range(from.orElse(null), null)) {
      while (all.hasNext()) {
        final KeyValue<Bytes, byte[]> next = all.next();
        if (!visitor.test(next.key, request(next.value))) {
          return false;
        }
      }
      return true;
    }
  }

  boolean holdsRequests() {
    try (KeyValueIterator<Bytes, byte[]> all = requests.all()) {
      return all.hasNext();
    }
  }

  StoredAttempt attempt(final Bytes position) {
    return Optional.ofNullable(progress.get(Position.attemptKey(position)))
        .map(bytes -> decode(bytes, StoredAttempt::fromByteBuffer))
        .orElseGet(() -> new StoredAttempt(0, 0, null));
  }

  void putAttempt(final Bytes position, final StoredAttempt attempt) {
    progress.put(Position.attemptKey(position), encode(attempt));
  }

  /** Takes chunks of tokens; those of a choice in order. */
  interface Chunks {
    void put(int choice, int chunk, StoredChunk value);
  }

  /** Where the progress of a request is written. */
  Chunks progressOf(final Bytes position) {
    return (choice, chunk, value) ->
        progress.put(Position.chunkKey(position, choice, chunk), encode(value));
  }

  /** Hands over the progress of a request. */
  void readProgress(final Bytes position, final Chunks reader) {
    try (KeyValueIterator<Bytes, byte[]> chunks =
        progress.range(
            Position.chunkKey(position, Position.PROMPT, 0), Position.endKey(position))) {
      while (chunks.hasNext()) {
        final KeyValue<Bytes, byte[]> next = chunks.next();
        reader.put(
            Position.choiceOf(position, next.key),
            Position.chunkOf(position, next.key),
            decode(next.value, StoredChunk::fromByteBuffer));
      }
    }
  }

  Transcript transcript(final Bytes position, final StoredRequest request) {
    final Transcript transcript = new Transcript(request.getContent().getChoices());
    readProgress(position, (choice, chunk, value) -> transcript.add(choice, value));
    return transcript;
  }

  /** Forgets all of a request but its digest. */
  void finish(
      final Bytes position, final StoredRequest request, final boolean failed, final long now) {
    unfinished--;
    requests.delete(position);
    identities.delete(request.getId());
    remember(request.getId(), new Known(Requests.digest(request), failed), now);
    try (KeyValueIterator<Bytes, byte[]> all =
        progress.range(Position.attemptKey(position), Position.endKey(position))) {
      while (all.hasNext()) {
        progress.delete(all.next().key);
      }
    }
  }

  /** Remembers a request that is over, for the retention. */
  void remember(final String id, final Known request, final long now) {
    finished.put(id, request.encode(), now);
  }

  private static StoredRequest request(final byte[] bytes) {
    return decode(bytes, StoredRequest::fromByteBuffer);
  }

  interface Decoder<T> {
    T decode(ByteBuffer bytes) throws IOException;
  }

  static <T> T decode(final byte[] bytes, final Decoder<T> decoder) {
    try {
      return decoder.decode(ByteBuffer.wrap(bytes));
    } catch (final IOException e) {
      throw new UncheckedIOException("a stored value of " + bytes.length + " bytes is broken", e);
    }
  }

  static byte[] encode(final SpecificRecordBase value) {
    try {
      return switch (value) {
        case StoredRequest request -> Requests.bytes(request.toByteBuffer());
        case StoredAttempt attempt -> Requests.bytes(attempt.toByteBuffer());
        case StoredChunk chunk -> Requests.bytes(chunk.toByteBuffer());
        case StoredIdentity identity -> Requests.bytes(identity.toByteBuffer());
        default -> throw new IllegalArgumentException("not stored: " + value.getClass());
      };
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
