package dev.sarathi.runtime.execute.cpu;

import static dev.sarathi.runtime.execute.cpu.Lanes.FLOATS;
import static dev.sarathi.runtime.execute.cpu.Lanes.LENGTH;
import static dev.sarathi.runtime.execute.cpu.Lanes.VIRTUAL;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * Kernels over single rows of activations: normalisation and activation functions. Each has a
 * vector body and, where a row need not be a multiple of the vector, a scalar tail with the same
 * operations.
 */
final class RowKernels {
  // exp(x) = 2^n * exp(r): n = round(x / ln 2) by the rounding of an addition, |r| <= ln(2) / 2,
  // ln 2 in two parts, and a minimax polynomial. Our own, because the library's transcendentals
  // differ between its vector and scalar forms and between processors.
  private static final float LOWEST = -87;
  private static final float HIGHEST = 88;
  private static final float LOG2_E = 1.44269504f;
  private static final float ROUND = 12582912; // 1.5 * 2^23
  private static final float LN2_HIGH = 0.693359375f;
  private static final float LN2_LOW = -2.12194440e-4f;
  private static final float P5 = 1.9875691500e-4f;
  private static final float P4 = 1.3981999507e-3f;
  private static final float P3 = 8.3334519073e-3f;
  private static final float P2 = 4.1665795894e-2f;
  private static final float P1 = 1.6666665459e-1f;
  private static final float P0 = 5.0000001201e-1f;

  // The complementary error function by Abramowitz and Stegun 7.1.26: erfc(z) = t(q(t)) exp(-z²)
  // with t = 1 / (1 + z E), within 1.5e-7. Halved, and for x = z * sqrt(2), it is the normal
  // distribution's tail.
  private static final float INVERSE_ROOT2 = 0.70710678f;
  private static final float E = 0.3275911f;
  private static final float E1 = 0.5f * 0.254829592f;
  private static final float E2 = 0.5f * -0.284496736f;
  private static final float E3 = 0.5f * 1.421413741f;
  private static final float E4 = 0.5f * -1.453152027f;
  private static final float E5 = 0.5f * 1.061405429f;

  private RowKernels() {}

  /** e to the x within 2 ulp; x is clamped to [-87, 88], where the result is a normal float. */
  static float exp(float x) {
    x = x < LOWEST ? LOWEST : x > HIGHEST ? HIGHEST : x;
    final float shifted = Math.fma(x, LOG2_E, ROUND);
    final float n = shifted - ROUND;
    final float r = Math.fma(n, -LN2_LOW, Math.fma(n, -LN2_HIGH, x));
    float p = Math.fma(r, P5, P4);
    p = Math.fma(r, p, P3);
    p = Math.fma(r, p, P2);
    p = Math.fma(r, p, P1);
    p = Math.fma(r, p, P0);
    final float result = Math.fma(p, r * r, r) + 1;
    return result * Float.intBitsToFloat(Float.floatToRawIntBits(shifted) + 127 << 23);
  }

  /** As {@link #exp(float)}, bit for bit. */
  static FloatVector exp(FloatVector x) {
    // Not max and min, whose care for NaN costs several instructions each.
    x = x.blend(LOWEST, x.compare(VectorOperators.LT, LOWEST));
    x = x.blend(HIGHEST, x.compare(VectorOperators.GT, HIGHEST));
    final FloatVector shifted = x.lanewise(VectorOperators.FMA, LOG2_E, ROUND);
    final FloatVector n = shifted.sub(ROUND);
    FloatVector r = FloatVector.broadcast(FLOATS, -LN2_HIGH).fma(n, x);
    r = FloatVector.broadcast(FLOATS, -LN2_LOW).fma(n, r);
    FloatVector p = r.lanewise(VectorOperators.FMA, P5, P4);
    p = r.fma(p, FloatVector.broadcast(FLOATS, P3));
    p = r.fma(p, FloatVector.broadcast(FLOATS, P2));
    p = r.fma(p, FloatVector.broadcast(FLOATS, P1));
    p = r.fma(p, FloatVector.broadcast(FLOATS, P0));
    final FloatVector result = p.fma(r.mul(r), r).add(1f);
    return result.mul(
        shifted
            .reinterpretAsInts()
            .add(127)
            .lanewise(VectorOperators.LSHL, 23)
            .reinterpretAsFloats());
  }

  /** {@code to[i] += from[i]}. */
  static void add(
      final float[] to,
      final int toOffset,
      final float[] from,
      final int fromOffset,
      final int length) {
    for (int i = 0; i < length; i++) {
      to[toOffset + i] += from[fromOffset + i];
    }
  }

  /**
   * {@code y = x / sqrt(mean(x²) + epsilon) * weight}.
   *
   * @param sums scratch of {@link Lanes#VIRTUAL} floats
   */
  static void rmsNorm(
      float[] x, int xOffset, float[] weight, float epsilon, float[] y, int yOffset, float[] sums) {
    final int length = weight.length;
    final int bound = length - length % VIRTUAL;
    for (int lane = 0; lane < VIRTUAL; lane += LENGTH) {
      FloatVector sum = FloatVector.zero(FLOATS);
      for (int i = lane; i < bound; i += VIRTUAL) {
        final FloatVector v = FloatVector.fromArray(FLOATS, x, xOffset + i);
        sum = v.fma(v, sum);
      }
      sum.intoArray(sums, lane);
    }
    for (int i = bound; i < length; i++) {
      final float v = x[xOffset + i];
      sums[i - bound] = Math.fma(v, v, sums[i - bound]);
    }
    final float mean = sum(sums, 0) / length;
    final float scale = (float) (1 / Math.sqrt(mean + epsilon));
    for (int i = 0; i < length; i++) {
      y[yOffset + i] = x[xOffset + i] * scale * weight[i];
    }
  }

  /**
   * {@code y = (x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias}.
   *
   * @param sums scratch of {@link Lanes#VIRTUAL} floats
   */
  static void layerNorm(
      float[] x,
      int xOffset,
      float[] weight,
      float[] bias,
      float epsilon,
      float[] y,
      int yOffset,
      float[] sums) {
    final int length = weight.length;
    final int bound = length - length % VIRTUAL;
    for (int lane = 0; lane < VIRTUAL; lane += LENGTH) {
      FloatVector sum = FloatVector.zero(FLOATS);
      for (int i = lane; i < bound; i += VIRTUAL) {
        sum = sum.add(FloatVector.fromArray(FLOATS, x, xOffset + i));
      }
      sum.intoArray(sums, lane);
    }
    for (int i = bound; i < length; i++) {
      sums[i - bound] += x[xOffset + i];
    }
    final float mean = sum(sums, 0) / length;
    for (int lane = 0; lane < VIRTUAL; lane += LENGTH) {
      FloatVector sum = FloatVector.zero(FLOATS);
      for (int i = lane; i < bound; i += VIRTUAL) {
        final FloatVector v = FloatVector.fromArray(FLOATS, x, xOffset + i).sub(mean);
        sum = v.fma(v, sum);
      }
      sum.intoArray(sums, lane);
    }
    for (int i = bound; i < length; i++) {
      final float v = x[xOffset + i] - mean;
      sums[i - bound] = Math.fma(v, v, sums[i - bound]);
    }
    final float variance = sum(sums, 0) / length;
    final float scale = (float) (1 / Math.sqrt(variance + epsilon));
    for (int i = 0; i < length; i++) {
      y[yOffset + i] = (x[xOffset + i] - mean) * scale * weight[i] + bias[i];
    }
  }

  /** The sum of {@link Lanes#VIRTUAL} partial sums, folded in halves. */
  static float sum(final float[] sums, final int offset) {
    final float a = sums[offset] + sums[offset + 8];
    final float b = sums[offset + 1] + sums[offset + 9];
    final float c = sums[offset + 2] + sums[offset + 10];
    final float d = sums[offset + 3] + sums[offset + 11];
    final float e = sums[offset + 4] + sums[offset + 12];
    final float f = sums[offset + 5] + sums[offset + 13];
    final float g = sums[offset + 6] + sums[offset + 14];
    final float h = sums[offset + 7] + sums[offset + 15];
    return ((a + e) + (c + g)) + ((b + f) + (d + h));
  }

  /** {@code y[i] = gate / (1 + exp(-gate)) * up}, where up follows gate after {@code length}. */
  static void siluMultiply(
      final float[] gateUp,
      final int gateOffset,
      final float[] y,
      final int yOffset,
      final int length) {
    final int upOffset = gateOffset + length;
    int i = 0;
    for (; i + LENGTH <= length; i += LENGTH) {
      final FloatVector gate = FloatVector.fromArray(FLOATS, gateUp, gateOffset + i);
      final FloatVector up = FloatVector.fromArray(FLOATS, gateUp, upOffset + i);
      gate.div(exp(gate.neg()).add(1f)).mul(up).intoArray(y, yOffset + i);
    }
    for (; i < length; i++) {
      final float gate = gateUp[gateOffset + i];
      y[yOffset + i] = gate / (exp(-gate) + 1) * gateUp[upOffset + i];
    }
  }

  /** {@code y[i] = x[i] * P(X <= x[i])} for a normally distributed X: the exact GELU. */
  static void gelu(
      final float[] x, final int xOffset, final float[] y, final int yOffset, final int length) {
    int i = 0;
    for (; i + LENGTH <= length; i += LENGTH) {
      gelu(FloatVector.fromArray(FLOATS, x, xOffset + i)).intoArray(y, yOffset + i);
    }
    for (; i < length; i++) {
      y[yOffset + i] = gelu(x[xOffset + i]);
    }
  }

  /**
   * Within 1e-6. Computed from the tail on the side of x, which stays accurate where it is small.
   */
  static float gelu(final float x) {
    final float size = x < 0 ? -x : x;
    final float z = size * INVERSE_ROOT2;
    final float t = 1 / Math.fma(z, E, 1f);
    float p = Math.fma(t, E5, E4);
    p = Math.fma(t, p, E3);
    p = Math.fma(t, p, E2);
    p = Math.fma(t, p, E1);
    final float tail = p * t * exp(-(z * z));
    return (x < 0 ? 0 : x) - size * tail;
  }

  /** As {@link #gelu(float)}, bit for bit. */
  static FloatVector gelu(final FloatVector x) {
    final FloatVector zero = FloatVector.zero(FLOATS);
    final VectorMask<Float> negative = x.compare(VectorOperators.LT, 0f);
    final FloatVector size = x.blend(x.neg(), negative);
    final FloatVector z = size.mul(INVERSE_ROOT2);
    final FloatVector t =
        FloatVector.broadcast(FLOATS, 1f).div(z.lanewise(VectorOperators.FMA, E, 1f));
    FloatVector p = t.lanewise(VectorOperators.FMA, E5, E4);
    p = t.fma(p, FloatVector.broadcast(FLOATS, E3));
    p = t.fma(p, FloatVector.broadcast(FLOATS, E2));
    p = t.fma(p, FloatVector.broadcast(FLOATS, E1));
    final FloatVector tail = p.mul(t).mul(exp(z.mul(z).neg()));
    return x.blend(zero, negative).sub(size.mul(tail));
  }
}
