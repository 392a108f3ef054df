package dev.sarathi.runtime.capacity;

import java.util.Random;

/**
 * Gaps between requests, of mean 1; the same seed gives the same gaps everywhere.
 *
 * @param cv the coefficient of variation: 1 for a Poisson process; above 1 in bursts, from a gamma
 *     distribution
 */
public record Arrivals(double cv, long seed) {
  public static final Arrivals POISSON = new Arrivals(1, 0);

  public Arrivals {
    if (!(cv > 0) || cv > 100) {
      throw new IllegalArgumentException(
          "coefficient of variation is %s; valid is above 0, at most 100".formatted(cv));
    }
  }

  /** The first {@code count} gaps. */
  public double[] gaps(final int count) {
    final Random random = new Random(seed);
    final double[] gaps = new double[count];
    for (int i = 0; i < count; i++) {
      gaps[i] = cv == 1 ? exponential(random) : gamma(random, 1 / (cv * cv)) * cv * cv;
    }
    return gaps;
  }

  private static double exponential(final Random random) {
    return -StrictMath.log(1 - random.nextDouble());
  }

  /** Of scale 1: Marsaglia and Tsang, A simple method for generating gamma variables, 2000. */
  private static double gamma(final Random random, final double shape) {
    if (shape < 1) {
      return gamma(random, shape + 1) * StrictMath.pow(1 - random.nextDouble(), 1 / shape);
    }
    final double d = shape - 1.0 / 3;
    final double c = 1 / Math.sqrt(9 * d);
    while (true) {
      final double normal = random.nextGaussian();
      final double v = 1 + c * normal;
      if (v > 0) {
        final double cube = v * v * v;
        final double bound = normal * normal / 2 + d - d * cube + d * StrictMath.log(cube);
        if (StrictMath.log(1 - random.nextDouble()) < bound) {
          return d * cube;
        }
      }
    }
  }
}
