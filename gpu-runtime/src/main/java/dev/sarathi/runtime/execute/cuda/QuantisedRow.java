package dev.sarathi.runtime.execute.cuda;

/**
 * One output of a weight as eight bits, and a symmetric scale for each group of inputs, by the rule
 * of the CPU executor: the largest weight of a group becomes 127 or -127.
 *
 * @param weights in the order of multiply.cuh, with 128 added
 * @param scales one for each group
 * @param finite whether there was nothing but finite numbers
 */
record QuantisedRow(byte[] weights, float[] scales, boolean finite) {
  private static final int LARGEST = 127;
  private static final int ZERO = 128;

  static QuantisedRow of(final int inputs, final FloatAt weight) {
    final int groups = Math.ceilDiv(inputs, DeviceMatrix.GROUP);
    final byte[] weights = new byte[groups * DeviceMatrix.GROUP];
    final float[] scales = new float[groups];
    boolean finite = true;
    for (int group = 0; group < groups; group++) {
      final int from = group * DeviceMatrix.GROUP;
      final int count = Math.min(DeviceMatrix.GROUP, inputs - from);
      float largest = 0;
      for (int i = 0; i < count; i++) {
        largest = Math.max(largest, Math.abs(weight.get(from + i)));
      }
      finite &= Float.isFinite(largest);
      final float scale = largest / LARGEST;
      scales[group] = scale;
      for (int i = 0; i < DeviceMatrix.GROUP; i++) {
        // A subnormal scale may be too small by as much as half, or 0.
        final double value = i >= count || scale == 0 ? 0 : Math.rint(weight.get(from + i) / scale);
        weights[from + place(i)] = (byte) (ZERO + Math.clamp(value, -LARGEST, LARGEST));
      }
    }
    return new QuantisedRow(weights, scales, finite);
  }

  /** A row's elements. */
  interface FloatAt {
    float get(int input);
  }

  /** Where an input of a group lies: together with those that the same thread multiplies. */
  private static int place(final int input) {
    final int step = input / 16;
    final int half = input % 16 / 8;
    final int chunk = input % 8 / 2;
    return chunk * 16 + step * 4 + half * 2 + input % 2;
  }
}
