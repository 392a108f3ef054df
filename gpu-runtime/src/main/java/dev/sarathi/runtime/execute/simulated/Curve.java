package dev.sarathi.runtime.execute.simulated;

import java.util.Arrays;
import java.util.NavigableMap;

/** Milliseconds by size: straight lines between what was measured, and on beyond its end. */
final class Curve {
  private final double[] sizes;
  private final double[] millis;

  /** At least two points. */
  Curve(final NavigableMap<Long, Double> points) {
    this.sizes = points.keySet().stream().mapToDouble(Long::doubleValue).toArray();
    this.millis = points.values().stream().mapToDouble(Double::doubleValue).toArray();
  }

  double at(final double size) {
    final int found = Arrays.binarySearch(sizes, size);
    if (found >= 0) {
      return millis[found];
    }
    if (size < sizes[0]) {
      return millis[0];
    }
    final int low = Math.min(-found - 2, sizes.length - 2);
    // Neighbours are noisy: the line beyond the end is the one through its second half.
    final int from = size > sizes[sizes.length - 1] ? sizes.length / 2 : low;
    final int to = low + 1;
    final double slope = (millis[to] - millis[from]) / (sizes[to] - sizes[from]);
    return from == low
        ? millis[low] + slope * (size - sizes[low])
        : millis[to] + slope * (size - sizes[to]);
  }
}
