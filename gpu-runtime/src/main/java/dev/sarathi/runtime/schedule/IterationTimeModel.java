package dev.sarathi.runtime.schedule;

import java.util.Arrays;

/**
 * How long an executor takes for a batch, learned from how long it has taken: linear in what a
 * forward pass is made of, fitted by recursive least squares that weigh relative errors and forget.
 * Executors that compute in tiles take as long for a part of a tile as for all of it, so tokens
 * count twice: one by one, and in whole tiles. And some numbers of tiles fill a device better than
 * others, so each has a factor of its own.
 *
 * <p>Threading: confined to one thread.
 */
public final class IterationTimeModel {
  /** Of the rows that a GPU's matrix kernels compute at once. */
  static final int TILE = 128;

  private static final int TERMS = 6;

  /** An observation counts for a third after five hundred others. */
  private static final double MEMORY = 0.998;

  /** The variance of coefficients, in milliseconds squared, before anything was seen. */
  private static final double IGNORANCE = 1e6;

  /** So many different shapes, and every term has been seen. */
  private static final int ENOUGH = 2 * TERMS;

  /** The latest observations of a number of tiles count this much, once there are enough. */
  private static final double RECENT = 0.05;

  /** More tiles than these share a factor. */
  private static final int TILE_FACTORS = 64;

  private final double[] tileFactors = new double[TILE_FACTORS];
  private final int[] tileObservations = new int[TILE_FACTORS];
  private final double[] coefficients = new double[TERMS];
  private final double[][] covariance = new double[TERMS][TERMS];
  private double squaredError;
  private int observations;

  /** One that knows nothing yet. */
  public IterationTimeModel() {
    for (int i = 0; i < TERMS; i++) {
      covariance[i][i] = IGNORANCE;
    }
    Arrays.fill(tileFactors, 1);
  }

  private static int tiles(final BatchShape shape) {
    return (int) Math.min(TILE_FACTORS - 1L, Math.ceilDiv(shape.tokens(), TILE));
  }

  /** Each term is about 1 for a large batch, so that rounding errors stay alike. */
  private static double[] terms(final BatchShape shape) {
    return new double[] {
      1,
      shape.tokens() / 1_024.0,
      Math.ceilDiv(shape.tokens(), TILE) * (TILE / 1_024.0),
      shape.decodes() / 128.0,
      shape.decodeContext() / 131_072.0,
      shape.prefillWork() / 1_048_576.0
    };
  }

  /** Whether it has seen enough to be asked. */
  public boolean isFitted() {
    return observations >= ENOUGH;
  }

  /**
   * @return milliseconds, above 0
   */
  public double millis(final BatchShape shape) {
    return linear(shape) * tileFactors[tiles(shape)];
  }

  private double linear(final BatchShape shape) {
    return Math.max(1e-3, dot(coefficients, terms(shape)));
  }

  /** The root of the mean square of what recent predictions were off by, as a share. */
  public double error() {
    return Math.sqrt(squaredError);
  }

  /** Learns from one batch. */
  public void observe(final BatchShape shape, final double millis) {
    if (!(millis > 0)) {
      return;
    }
    if (isFitted()) {
      final double error = Math.clamp(millis / millis(shape) - 1, -1, 1);
      squaredError += (error * error - squaredError) / Math.min(observations - ENOUGH + 1, 200);
    }
    final int tiles = tiles(shape);
    if (isFitted()) {
      tileObservations[tiles]++;
      tileFactors[tiles] +=
          (Math.clamp(millis / linear(shape), 0.5, 2) - tileFactors[tiles])
              * Math.max(RECENT, 1.0 / tileObservations[tiles]);
    }
    // Divided by what was measured, so that the short ones count as much as the long.
    final double[] x = terms(shape);
    for (int i = 0; i < TERMS; i++) {
      x[i] /= millis;
    }
    final double[] gain = new double[TERMS];
    double trace = 0;
    for (int i = 0; i < TERMS; i++) {
      gain[i] = dot(covariance[i], x);
      trace += covariance[i][i];
    }
    // What is not excited must not be forgotten: its variance would grow without end.
    final double memory = trace < IGNORANCE ? MEMORY : 1;
    final double scale = memory + dot(gain, x);
    final double residual = 1 / tileFactors[tiles] - dot(coefficients, x);
    for (int i = 0; i < TERMS; i++) {
      coefficients[i] += gain[i] / scale * residual;
    }
    for (int i = 0; i < TERMS; i++) {
      for (int j = i; j < TERMS; j++) {
        covariance[i][j] = (covariance[i][j] - gain[i] * gain[j] / scale) / memory;
        covariance[j][i] = covariance[i][j];
      }
    }
    observations++;
  }

  private static double dot(final double[] a, final double[] b) {
    double sum = 0;
    for (int i = 0; i < TERMS; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }
}
