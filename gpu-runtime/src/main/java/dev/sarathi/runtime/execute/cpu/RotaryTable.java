package dev.sarathi.runtime.execute.cpu;

import dev.sarathi.runtime.model.ModelConfig;
import java.util.Arrays;

/**
 * Sines and cosines of the rotary position embedding, computed page by page as positions are first
 * reached.
 *
 * <p>Threading: {@link #reach} by one thread, before others read up to that position.
 */
final class RotaryTable {
  private static final int PAGE = 256;

  private final float[] inverseFrequencies;
  private final int half;
  private float[][] cosines = {};
  private float[][] sines = {};

  RotaryTable(final ModelConfig config) {
    inverseFrequencies = config.rope().inverseFrequencies(config.headDim());
    half = inverseFrequencies.length;
  }

  /** Fills the table up to and with this position. */
  void reach(final int position) {
    for (int page = cosines.length; page <= position / PAGE; page++) {
      cosines = Arrays.copyOf(cosines, page + 1);
      sines = Arrays.copyOf(sines, page + 1);
      cosines[page] = new float[PAGE * half];
      sines[page] = new float[PAGE * half];
      for (int i = 0; i < PAGE * half; i++) {
        // The product is rounded to float first, as the models were trained.
        final float angle = (page * PAGE + i / half) * inverseFrequencies[i % half];
        cosines[page][i] = (float) StrictMath.cos(angle);
        sines[page][i] = (float) StrictMath.sin(angle);
      }
    }
  }

  /** Turns one head's vector to its position. */
  void rotate(final float[] x, final int offset, final int position) {
    final float[] cos = cosines[position / PAGE];
    final float[] sin = sines[position / PAGE];
    final int row = position % PAGE * half;
    for (int i = 0; i < half; i++) {
      final float a = x[offset + i];
      final float b = x[offset + half + i];
      x[offset + i] = a * cos[row + i] - b * sin[row + i];
      x[offset + half + i] = b * cos[row + i] + a * sin[row + i];
    }
  }
}
