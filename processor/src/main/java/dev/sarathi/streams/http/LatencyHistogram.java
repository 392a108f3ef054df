package dev.sarathi.streams.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Counts latencies in fixed buckets: since the start, and of the last minute.
 *
 * <p>Threading: one thread records and never waits; any thread reads.
 */
final class LatencyHistogram {
  /** Upper bounds, in milliseconds; one more bucket takes what is beyond. */
  static final int[] BOUNDS = {
    1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1_000, 2_000, 5_000, 10_000
  };

  private static final int SECONDS = 60;

  /** The counts of one second; the second after a minute has a new one in its place. */
  private record Second(long second, AtomicIntegerArray counts) {}

  private final AtomicLongArray counts = new AtomicLongArray(BOUNDS.length + 1);
  private final AtomicReferenceArray<Second> seconds = new AtomicReferenceArray<>(SECONDS);

  /**
   * @param nanos the latency
   * @param now {@link System#nanoTime} at its end
   */
  void record(final long nanos, final long now) {
    final int bucket = bucket(nanos);
    counts.lazySet(bucket, counts.getPlain(bucket) + 1);
    final long second = now / 1_000_000_000;
    final int place = Math.floorMod(second, SECONDS);
    Second current = seconds.getPlain(place);
    if (current == null || current.second != second) {
      current = new Second(second, new AtomicIntegerArray(BOUNDS.length + 1));
      seconds.setRelease(place, current);
    }
    current.counts.lazySet(bucket, current.counts.getPlain(bucket) + 1);
  }

  private static int bucket(final long nanos) {
    int bucket = 0;
    while (bucket < BOUNDS.length && nanos > BOUNDS[bucket] * 1_000_000L) {
      bucket++;
    }
    return bucket;
  }

  /** The counts of each bucket, under {@code since_start} and {@code last_minute}. */
  ObjectNode json(final long now) {
    final int[] minute = new int[BOUNDS.length + 1];
    for (int i = 0; i < SECONDS; i++) {
      final Second second = seconds.getAcquire(i);
      if (second != null && now / 1_000_000_000 - second.second < SECONDS) {
        for (int bucket = 0; bucket < minute.length; bucket++) {
          minute[bucket] += second.counts.get(bucket);
        }
      }
    }
    final ObjectNode node = JsonNodeFactory.instance.objectNode();
    final ArrayNode sinceStart = node.putArray("since_start");
    final ArrayNode lastMinute = node.putArray("last_minute");
    for (int bucket = 0; bucket < minute.length; bucket++) {
      sinceStart.add(counts.get(bucket));
      lastMinute.add(minute[bucket]);
    }
    return node;
  }
}
