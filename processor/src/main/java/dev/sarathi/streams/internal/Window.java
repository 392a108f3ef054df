package dev.sarathi.streams.internal;

import dev.sarathi.streams.internal.stored.StoredRequest;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.function.Predicate;
import org.apache.kafka.common.utils.Bytes;

/**
 * The requests of a task that are in the engine, or about to be; the others wait in the store, in
 * order of their positions.
 *
 * <p>Threading: confined to the stream thread.
 */
final class Window<K, V> {
  private final int limit;
  private final Map<Bytes, ActiveRequest<K, V>> requests = new HashMap<>();
  private final Deque<ActiveRequest<K, V>> admitted = new ArrayDeque<>();

  /**
   * Where to look for the next request to admit; everything before it is gone or in the window.
   * Absent for the beginning.
   */
  private Optional<Bytes> cursor = Optional.empty();

  /** Whether the store may hold requests from the cursor on. */
  private boolean backlog = true;

  Window(final int limit) {
    this.limit = limit;
  }

  /** Notes that the store has a new request. */
  void arrived(final Bytes position) {
    cursor = cursor.map(c -> c.compareTo(position) < 0 ? c : position);
    backlog = true;
  }

  /**
   * Takes requests from the store until the window is full.
   *
   * @param ready whether a request may be taken now; if not, it and those behind it wait
   * @param admission makes a stored request an active one; empty if it ended right there
   * @return whether any was taken
   */
  boolean fill(
      final GenerationStores stores,
      final Predicate<Bytes> ready,
      final BiFunction<Bytes, StoredRequest, Optional<ActiveRequest<K, V>>> admission) {
    if (!backlog || requests.size() >= limit) {
      return false;
    }
    final boolean[] taken = {false};
    final boolean reachedEnd =
        stores.visit(
            cursor,
            (position, stored) -> {
              if (!requests.containsKey(position)) {
                if (requests.size() >= limit || !ready.test(position)) {
                  return false;
                }
                admission.apply(position, stored).ifPresent(this::admit);
                taken[0] = true;
              }
              cursor = Optional.of(position);
              return true;
            });
    backlog = !reachedEnd;
    if (reachedEnd) {
      stores.counted(requests.size());
    }
    return taken[0];
  }

  /** The first of the requests that wait in the store. */
  Optional<Bytes> firstWaiting(final GenerationStores stores) {
    final Bytes[] first = {null};
    if (backlog) {
      stores.visit(
          cursor,
          (position, stored) -> {
            if (!requests.containsKey(position)) {
              first[0] = position;
            }
            return first[0] == null;
          });
    }
    return Optional.ofNullable(first[0]);
  }

  int size() {
    return requests.size();
  }

  private void admit(final ActiveRequest<K, V> request) {
    requests.put(request.position, request);
    admitted.add(request);
  }

  /** The next request to be handed to the engine. */
  Optional<ActiveRequest<K, V>> nextAdmitted() {
    return Optional.ofNullable(admitted.peek());
  }

  /** Notes that the engine has the next request. */
  void handedOver() {
    admitted.remove();
  }

  int admitted() {
    return admitted.size();
  }

  /** Whether the request at a position is here, and its attempt has brought no token yet. */
  boolean awaitsProgress(final Bytes position) {
    final ActiveRequest<K, V> request = requests.get(position);
    return request != null && !request.hasProgressed();
  }

  boolean holds(final ActiveRequest<K, V> request) {
    return requests.get(request.position) == request;
  }

  /** The request at a position, which the window then no longer holds. */
  Optional<ActiveRequest<K, V>> remove(final Bytes position) {
    final Optional<ActiveRequest<K, V>> removed = Optional.ofNullable(requests.remove(position));
    removed.ifPresent(admitted::remove);
    return removed;
  }

  /** Takes every request out of the engine. */
  void abandon() {
    requests.values().forEach(ActiveRequest::abandon);
    requests.clear();
    admitted.clear();
  }
}
