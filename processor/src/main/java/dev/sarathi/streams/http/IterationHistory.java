package dev.sarathi.streams.http;

import dev.sarathi.runtime.Iteration;
import dev.sarathi.runtime.IterationObserver;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * The latest iterations of an engine, the sequences that it has begun, and the latencies of their
 * tokens: what a page shows.
 *
 * <p>Threading: the engine thread alone writes, and waits for nobody; any thread reads. What a
 * reader finds is of one iteration or of the next.
 */
public final class IterationHistory implements IterationObserver {
  /** How many iterations are kept. */
  public static final int CAPACITY = 1_000;

  /** Batches in flight may have parts of sequences that have ended; so many are remembered. */
  private static final int REMEMBERED_ENDS = 4_096;

  private final AtomicReferenceArray<Entry> ring = new AtomicReferenceArray<>(CAPACITY);
  private final Map<Long, LiveSequence> sequences = new ConcurrentHashMap<>();
  private final Set<Long> ended =
      Collections.newSetFromMap(
          new LinkedHashMap<>() {
            @Override
            protected boolean removeEldestEntry(final Map.Entry<Long, Boolean> eldest) {
              return size() > REMEMBERED_ENDS;
            }
          });
  private final LatencyHistogram timeToFirstToken = new LatencyHistogram();
  private final LatencyHistogram timeBetweenTokens = new LatencyHistogram();
  private volatile long next;

  /**
   * An iteration.
   *
   * @param number counts them from 0
   * @param start in the executor's nanoseconds
   * @param end in the executor's nanoseconds
   * @param at when it was seen, in milliseconds since 1970
   * @param chunks its prefill
   * @param decodes tokens of decodes
   * @param budget its token budget; 0 for none
   */
  record Entry(
      long number,
      long start,
      long end,
      long at,
      List<Iteration.Part> chunks,
      int prefill,
      int decodes,
      int budget,
      int preempted) {}

  @Override
  public void onIteration(final Iteration iteration) {
    final long now = System.nanoTime();
    List<Iteration.Part> chunks = List.of();
    int prefill = 0;
    int decodes = 0;
    for (final Iteration.Part part : iteration.parts()) {
      if (part.prefill()) {
        if (chunks.isEmpty()) {
          chunks = new ArrayList<>(2);
        }
        chunks.add(part);
        prefill += part.tokens();
      } else {
        decodes += part.tokens();
      }
      if (!ended.contains(part.sequence())) {
        sequences
            .computeIfAbsent(part.sequence(), _ -> new LiveSequence(part))
            .computed(part, iteration.end(), gap -> timeBetweenTokens.record(gap, now));
      }
    }
    for (final long sequence : iteration.preempted()) {
      final LiveSequence preempted = sequences.get(sequence);
      if (preempted != null) {
        preempted.preempted();
      }
    }
    for (final long sequence : iteration.ended()) {
      sequences.remove(sequence);
      ended.add(sequence);
    }
    for (final long nanos : iteration.timesToFirstToken()) {
      timeToFirstToken.record(nanos, now);
    }
    final long number = next;
    ring.setRelease(
        (int) (number % CAPACITY),
        new Entry(
            number,
            iteration.start(),
            iteration.end(),
            System.currentTimeMillis(),
            chunks,
            prefill,
            decodes,
            iteration.tokenBudget(),
            iteration.preempted().size()));
    next = number + 1;
  }

  /** The iterations from a number on, as far as they are still kept. */
  List<Entry> since(final long number) {
    final long end = next;
    final List<Entry> entries = new ArrayList<>();
    for (long i = Math.max(number, end - CAPACITY); i < end; i++) {
      final Entry entry = ring.getAcquire((int) (i % CAPACITY));
      // A later one may have taken its place a moment ago.
      if (entry.number() == i) {
        entries.add(entry);
      }
    }
    return entries;
  }

  /** The sequences that have begun and not ended. */
  Collection<LiveSequence> sequences() {
    return sequences.values();
  }

  /** From the engine being handed a request to its first token. */
  LatencyHistogram timeToFirstToken() {
    return timeToFirstToken;
  }

  /** From token to token of a sequence. */
  LatencyHistogram timeBetweenTokens() {
    return timeBetweenTokens;
  }
}
