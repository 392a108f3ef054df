package dev.sarathi.runtime.execute.cuda;

/**
 * A weight on the device: {@code outputs} rows, {@code stride} elements apart, of bfloat16, or
 * quantised to eight bits by groups of inputs, as multiply.cuh says.
 *
 * @param inputs elements of a row that are the weight's; the others are zero
 * @param stride {@code inputs} rounded up to whole tiles of the kernels
 * @param bias the address of a float for each output, or 0
 * @param scales the address of a float for each group and output, or 0 where not quantised
 */
record DeviceMatrix(long address, int outputs, int inputs, int stride, long bias, long scales) {
  /** Inputs that the kernels multiply between two waits, and that share a scale. */
  static final int GROUP = 64;

  /** Scales of a group are padded for the kernels' widest tile. */
  private static final int SCALE_OUTPUTS = 128;

  /** Of bfloat16. */
  DeviceMatrix(
      final long address, final int outputs, final int inputs, final int stride, final long bias) {
    this(address, outputs, inputs, stride, bias, 0);
  }

  /** A row's elements with the padding that the kernels want. */
  static int padded(final int width) {
    return Math.ceilDiv(width, GROUP) * GROUP;
  }

  /** From one group's scales to the next one's. */
  static int scaleStride(final int outputs) {
    return Math.ceilDiv(outputs, SCALE_OUTPUTS) * SCALE_OUTPUTS;
  }

  boolean quantised() {
    return scales != 0;
  }

  long bytes() {
    final long elements = (long) outputs * stride;
    return quantised() ? elements + 4L * stride / GROUP * scaleStride(outputs) : 2 * elements;
  }
}
