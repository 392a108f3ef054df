package dev.sarathi.runtime.execute.cuda;

import dev.sarathi.runtime.model.ModelConfig;
import java.util.stream.IntStream;

/** Cosines and sines of the rotary position embedding, {@code [position][pair of dimensions]}. */
record RotaryAngles(float[] cosines, float[] sines) {

  static RotaryAngles of(final ModelConfig config, final int positions) {
    final float[] inverseFrequencies = config.rope().inverseFrequencies(config.headDim());
    final int half = inverseFrequencies.length;
    final RotaryAngles angles =
        new RotaryAngles(
            new float[Math.multiplyExact(positions, half)], new float[positions * half]);
    IntStream.range(0, positions)
        .parallel()
        .forEach(
            position -> {
              for (int i = 0; i < half; i++) {
                // The product is rounded to float first, as the models were trained.
                final float angle = position * inverseFrequencies[i];
                angles.cosines[position * half + i] = (float) StrictMath.cos(angle);
                angles.sines[position * half + i] = (float) StrictMath.sin(angle);
              }
            });
    return angles;
  }
}
