package dev.sarathi.streams.internal;

import dev.sarathi.runtime.EngineFailedException;
import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.runtime.TokenListener;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;

/**
 * What the engine has for one incarnation of a processor. Streams may close a processor and
 * initialise it anew within one JVM; results of the earlier incarnation end in a queue that nobody
 * drains, and are counted.
 *
 * <p>Threading: the engine thread puts, the stream thread drains and closes.
 */
final class ResultQueue<K, V> {
  private final int maxUncommittedTokens;
  private final Queue<Result<K, V>> results = new ConcurrentLinkedQueue<>();
  private final AtomicInteger uncommittedTokens = new AtomicInteger();
  private final LongAdder staleTokens = new LongAdder();
  private volatile boolean closed;
  private volatile Optional<EngineFailedException> failure = Optional.empty();

  private record Result<K, V>(ActiveRequest<K, V> request, TokenDelta delta) {}

  ResultQueue(final int maxUncommittedTokens) {
    this.maxUncommittedTokens = maxUncommittedTokens;
  }

  TokenListener listener(final ActiveRequest<K, V> request) {
    return new TokenListener() {
      @Override
      public void onTokens(final TokenDelta delta) {
        if (closed) {
          staleTokens.add(delta.tokens().length);
        } else {
          uncommittedTokens.addAndGet(delta.tokens().length);
          results.add(new Result<>(request, delta));
        }
      }

      @Override
      public void onEngineFailure(final EngineFailedException cause) {
        failure = Optional.of(cause);
      }

      @Override
      public boolean accepts() {
        return uncommittedTokens.get() < maxUncommittedTokens;
      }
    };
  }

  /**
   * Takes everything that is there, in order for each request.
   *
   * @throws EngineFailedException if the engine broke down
   */
  Map<ActiveRequest<K, V>, List<TokenDelta>> drain() {
    failure.ifPresent(
        cause -> {
          throw cause;
        });
    final Map<ActiveRequest<K, V>, List<TokenDelta>> drained = new LinkedHashMap<>();
    int tokens = 0;
    for (Result<K, V> result = results.poll(); result != null; result = results.poll()) {
      drained.computeIfAbsent(result.request, r -> new ArrayList<>()).add(result.delta);
      tokens += result.delta.tokens().length;
    }
    uncommittedTokens.addAndGet(-tokens);
    return drained;
  }

  void close() {
    closed = true;
    for (Result<K, V> result = results.poll(); result != null; result = results.poll()) {
      staleTokens.add(result.delta.tokens().length);
    }
  }

  long staleTokens() {
    return staleTokens.sum();
  }
}
