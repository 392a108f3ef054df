package dev.sarathi.runtime.capacity;

import java.util.Locale;

/**
 * The highest rate that a scenario bears, and what it is like there.
 *
 * @param qps requests a second
 * @param p99Tbt seconds
 * @param medianTtft seconds
 * @param medianDelay seconds from arrival to the first iteration
 * @param bound what is exceeded at a rate 2.5 % higher: {@code tbt} or {@code delay}; {@code none}
 *     where so few requests are borne at any rate
 */
public record Capacity(
    double qps, double p99Tbt, double medianTtft, double medianDelay, String bound) {
  private static final double PRECISION = 0.025;

  /** At this rate all requests of a short trace come at once: no higher one is harder to bear. */
  private static final double MOST = 1_024;

  /** Below this rate nothing is looked for. */
  private static final double LEAST = 1.0 / 1_024;

  /**
   * Looks for it by bisection to 2.5 %; the answer is the lower end. With nothing measured at a
   * rate of 0, where even the least load is not borne.
   */
  public static Capacity of(final Scenario scenario, final Slo slo) {
    double high = 1;
    Replay first = new Replay(scenario, high);
    Replay.Bound bound = first.run(slo);
    while (bound == Replay.Bound.NONE) {
      if (high >= MOST) {
        return of(high, first, bound);
      }
      high *= 2;
      first = new Replay(scenario, high);
      bound = first.run(slo);
    }
    double low = high / 2;
    Replay best = new Replay(scenario, low);
    for (Replay.Bound tried = best.run(slo); tried != Replay.Bound.NONE; tried = best.run(slo)) {
      bound = tried;
      high = low;
      low /= 2;
      if (low < LEAST) {
        return new Capacity(0, 0, 0, 0, name(bound));
      }
      best = new Replay(scenario, low);
    }
    while (high - low > PRECISION * low) {
      final double middle = (low + high) / 2;
      final Replay replay = new Replay(scenario, middle);
      final Replay.Bound tried = replay.run(slo);
      if (tried == Replay.Bound.NONE) {
        low = middle;
        best = replay;
      } else {
        high = middle;
        bound = tried;
      }
    }
    return of(low, best, bound);
  }

  /** Whether a higher rate was too high; if not, the rate says nothing of what is borne. */
  boolean isLimited() {
    return !bound.equals(name(Replay.Bound.NONE));
  }

  private static Capacity of(final double qps, final Replay replay, final Replay.Bound bound) {
    return new Capacity(
        qps, replay.p99Tbt(), replay.medianTtft(), replay.medianDelay(), name(bound));
  }

  private static String name(final Replay.Bound bound) {
    return bound.name().toLowerCase(Locale.ROOT);
  }
}
