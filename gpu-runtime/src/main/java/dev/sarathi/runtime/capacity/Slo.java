package dev.sarathi.runtime.capacity;

/**
 * What a load must not exceed to count as borne.
 *
 * @param p99Tbt seconds between two tokens of a request, in 99 of 100 cases
 * @param medianDelay seconds from a request's arrival to its first iteration, for half of them
 */
public record Slo(double p99Tbt, double medianDelay) {
  private static final double MEDIAN_DELAY = 2;

  public Slo {
    if (!(p99Tbt > 0)) {
      throw new IllegalArgumentException(
          "P99 TBT is to be %s s; valid is above 0".formatted(p99Tbt));
    }
  }

  /** With the paper's bound of 2 s on the median scheduling delay. */
  public static Slo ofTbt(final double p99Tbt) {
    return new Slo(p99Tbt, MEDIAN_DELAY);
  }
}
