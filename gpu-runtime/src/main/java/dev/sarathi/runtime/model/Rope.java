package dev.sarathi.runtime.model;

/**
 * Rotary position embedding: dimensions {@code i} and {@code i + headDim / 2} of a head turn
 * together by {@code position * inverseFrequencies[i]} radians.
 */
public sealed interface Rope {

  float theta();

  /**
   * The angle per position of each pair of dimensions, in float arithmetic step by step as Hugging
   * Face computes it: at distant positions its rounding is part of what the model learned.
   *
   * @return {@code headDim / 2} angles in radians
   */
  default float[] inverseFrequencies(int headDim) {
    final float[] inverse = new float[headDim / 2];
    for (int i = 0; i < inverse.length; i++) {
      inverse[i] = scale(1f / (float) StrictMath.pow(theta(), 2f * i / headDim));
    }
    return inverse;
  }

  /** What the scaling makes of one unscaled inverse frequency. */
  float scale(float inverseFrequency);

  /** As trained. */
  record Plain(float theta) implements Rope {
    @Override
    public float scale(final float inverseFrequency) {
      return inverseFrequency;
    }
  }

  /** Positions divided by a factor. */
  record Linear(float theta, float factor) implements Rope {
    @Override
    public float scale(final float inverseFrequency) {
      return inverseFrequency / factor;
    }
  }

  /**
   * Llama 3.1's: long wavelengths are divided by the factor, short ones kept, those between
   * interpolated.
   */
  record Llama3(
      float theta,
      float factor,
      float lowFrequencyFactor,
      float highFrequencyFactor,
      int originalMaxPositions)
      implements Rope {
    @Override
    public float scale(final float inverseFrequency) {
      final float wavelength = (float) (2 * Math.PI) / inverseFrequency;
      if (wavelength < originalMaxPositions / highFrequencyFactor) {
        return inverseFrequency;
      }
      if (wavelength > originalMaxPositions / lowFrequencyFactor) {
        return inverseFrequency / factor;
      }
      final float smooth =
          (originalMaxPositions / wavelength - lowFrequencyFactor)
              / (highFrequencyFactor - lowFrequencyFactor);
      return (1 - smooth) * (inverseFrequency / factor) + smooth * inverseFrequency;
    }
  }
}
