package dev.sarathi.runtime.execute.cpu;

/** What the kernels must compute, bit for bit, in the plainest Java. */
final class ScalarKernels {
  private ScalarKernels() {}

  /** {@code y[row][output]}: one chain of fused multiply-adds over rising inputs. */
  static float[][] multiply(final float[][] x, final float[][] weight, final float[] bias) {
    final float[][] y = new float[x.length][weight.length];
    for (int row = 0; row < x.length; row++) {
      for (int output = 0; output < weight.length; output++) {
        float sum = bias[output];
        for (int k = 0; k < x[row].length; k++) {
          sum = Math.fma(x[row][k], weight[output][k], sum);
        }
        y[row][output] = sum;
      }
    }
    return y;
  }

  /** As above over eight-bit integers, in groups of 64 inputs that share a scale. */
  static float[][] multiplyQuantised(
      final float[][] x, final float[][] weight, final float[] bias) {
    final float[][] y = new float[x.length][weight.length];
    for (int row = 0; row < x.length; row++) {
      for (int output = 0; output < weight.length; output++) {
        y[row][output] = bias[output];
        for (int from = 0; from < x[row].length; from += 64) {
          final int to = Math.min(from + 64, x[row].length);
          final float scale = largest(weight[output], from, to) / 127;
          float sum = 0;
          for (int k = from; k < to; k++) {
            sum = Math.fma(x[row][k], (float) Math.rint(weight[output][k] / scale), sum);
          }
          y[row][output] = Math.fma(sum, scale, y[row][output]);
        }
      }
    }
    return y;
  }

  /**
   * Bfloat16 by the pair: the odd product first, then the even one, each fused with its sum.
   *
   * @param apart whether a weight is added after all others, by output and input
   */
  static float[][] multiplyPairs(
      final float[][] x, final float[][] weight, final float[] bias, final boolean[][] apart) {
    final float[][] y = new float[x.length][weight.length];
    for (int row = 0; row < x.length; row++) {
      final int inputs = x[row].length;
      final float[] rounded = new float[inputs];
      for (int k = 0; k < inputs; k++) {
        rounded[k] = bf16(x[row][k]);
      }
      for (int output = 0; output < weight.length; output++) {
        float sum = bias[output];
        for (int k = 0; k < inputs; k += 2) {
          if (k + 1 < inputs && !apart[output][k + 1]) {
            sum = Math.fma(rounded[k + 1], weight[output][k + 1], sum);
          }
          if (!apart[output][k]) {
            sum = Math.fma(rounded[k], weight[output][k], sum);
          }
        }
        for (int k = 0; k < inputs; k++) {
          if (apart[output][k]) {
            sum = Math.fma(rounded[k], weight[output][k], sum);
          }
        }
        y[row][output] = sum;
      }
    }
    return y;
  }

  /** The nearest bfloat16, of two the even one. */
  static float bf16(final float value) {
    final int bits = Float.floatToRawIntBits(value);
    return Float.intBitsToFloat(bits + 0x7FFF + (bits >>> 16 & 1) & 0xFFFF0000);
  }

  /** Both sides as eight-bit integers, in groups of 64 inputs that share a scale. */
  static float[][] multiplyBytes(final float[][] x, final float[][] weight, final float[] bias) {
    final float[][] y = new float[x.length][weight.length];
    for (int row = 0; row < x.length; row++) {
      for (int output = 0; output < weight.length; output++) {
        y[row][output] = bias[output];
        for (int from = 0; from < x[row].length; from += 64) {
          final int to = Math.min(from + 64, x[row].length);
          final float mostInput = largest(x[row], from, to);
          final float scale = largest(weight[output], from, to) / 127;
          int sum = 0;
          for (int k = from; k < to; k++) {
            final int input = (int) Math.rint(x[row][k] * (127 / mostInput));
            sum += input * (int) Math.rint(weight[output][k] / scale);
          }
          y[row][output] = Math.fma(sum, mostInput / 127 * scale, y[row][output]);
        }
      }
    }
    return y;
  }

  private static float largest(final float[] values, final int from, final int to) {
    float largest = 0;
    for (int k = from; k < to; k++) {
      largest = Math.max(largest, Math.abs(values[k]));
    }
    return largest;
  }

  static float[] rmsNorm(final float[] x, final float[] weight, final float epsilon) {
    final float[] sums = new float[16];
    for (int i = 0; i < x.length; i++) {
      sums[i % 16] = Math.fma(x[i], x[i], sums[i % 16]);
    }
    final float scale = (float) (1 / Math.sqrt(fold(sums) / x.length + epsilon));
    final float[] y = new float[x.length];
    for (int i = 0; i < x.length; i++) {
      y[i] = x[i] * scale * weight[i];
    }
    return y;
  }

  static float[] layerNorm(
      final float[] x, final float[] weight, final float[] bias, final float epsilon) {
    final float[] sums = new float[16];
    for (int i = 0; i < x.length; i++) {
      sums[i % 16] += x[i];
    }
    final float mean = fold(sums) / x.length;
    final float[] squares = new float[16];
    for (int i = 0; i < x.length; i++) {
      squares[i % 16] = Math.fma(x[i] - mean, x[i] - mean, squares[i % 16]);
    }
    final float scale = (float) (1 / Math.sqrt(fold(squares) / x.length + epsilon));
    final float[] y = new float[x.length];
    for (int i = 0; i < x.length; i++) {
      y[i] = (x[i] - mean) * scale * weight[i] + bias[i];
    }
    return y;
  }

  /** The last of these positions over the keys and values in its window. */
  static float[] attend(
      final float[] query, final float[][] keys, final float[][] values, final int window) {
    final int first = Math.max(0, keys.length - window);
    final float scale = (float) (1 / Math.sqrt(query.length));
    final float[] output = new float[query.length];
    final float[] sums = new float[16];
    float max = Float.NEGATIVE_INFINITY;
    for (int start = first / 16 * 16; start < keys.length; start += 16) {
      final int end = Math.min(start + 16, keys.length);
      final float[] scores = new float[end - start];
      float blockMax = Float.NEGATIVE_INFINITY;
      for (int t = Math.max(start, first); t < end; t++) {
        for (int d = 0; d < query.length; d++) {
          scores[t - start] = Math.fma(query[d] * scale, keys[t][d], scores[t - start]);
        }
        blockMax = Math.max(blockMax, scores[t - start]);
      }
      if (blockMax > max) {
        final float factor = RowKernels.exp(max - blockMax);
        for (int d = 0; d < output.length; d++) {
          output[d] *= factor;
        }
        for (int lane = 0; lane < 16; lane++) {
          sums[lane] *= factor;
        }
        max = blockMax;
      }
      for (int t = Math.max(start, first); t < end; t++) {
        final float weight = RowKernels.exp(scores[t - start] - max);
        sums[t - start] += weight;
        for (int d = 0; d < output.length; d++) {
          output[d] = Math.fma(weight, values[t][d], output[d]);
        }
      }
    }
    for (int d = 0; d < output.length; d++) {
      output[d] /= fold(sums);
    }
    return output;
  }

  /** Halves are folded onto each other until one sum is left. */
  static float fold(final float[] sums) {
    final float[] folded = sums.clone();
    for (int half = 8; half > 0; half /= 2) {
      for (int i = 0; i < half; i++) {
        folded[i] += folded[i + half];
      }
    }
    return folded[0];
  }
}
