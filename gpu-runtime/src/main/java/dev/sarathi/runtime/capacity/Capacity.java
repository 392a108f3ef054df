package dev.sarathi.runtime.capacity;

/**
 * The highest rate that a scenario bears, and what it is like there.
 *
 * @param qps requests a second
 * @param p99Tbt seconds
 * @param medianTtft seconds
 * @param medianDelay seconds from arrival to the first iteration
 * @param bound what is exceeded at a rate 2.5 % higher: {@code tbt} or {@code delay}
 */
public record Capacity(
    double qps, double p99Tbt, double medianTtft, double medianDelay, String bound) {
  private static final double PRECISION = 0.025;

  /** Below this rate nothing is looked for. */
  private static final double LEAST = 1.0 / 1_024;

  /**
   * Looks for it by bisection to 2.5 %; the answer is the lower end. With nothing measured at a
   * rate of 0, where even the least load is not borne.
   */
  public static Capacity of(final Scenario scenario, final Slo slo) {
    double high = 1;
    Replay.Bound bound = new Replay(scenario, high).run(slo);
    while (bound == Replay.Bound.NONE) {
      high *= 2;
      bound = new Replay(scenario, high).run(slo);
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
    return new Capacity(low, best.p99Tbt(), best.medianTtft(), best.medianDelay(), name(bound));
  }

  private static String name(final Replay.Bound bound) {
    return bound.name().toLowerCase(java.util.Locale.ROOT);
  }
}
