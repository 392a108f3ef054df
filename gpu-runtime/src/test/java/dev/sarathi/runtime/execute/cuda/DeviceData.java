package dev.sarathi.runtime.execute.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Moves arrays to a device and back. */
record DeviceData(Driver driver) {

  /** Rows of floats as bfloat16, padded by zeros to {@code stride}. */
  long bf16(final float[][] rows, final int stride) {
    final MemorySegment host = driver.hostMemory(2L * rows.length * stride);
    host.fill((byte) 0);
    for (int row = 0; row < rows.length; row++) {
      for (int i = 0; i < rows[row].length; i++) {
        host.setAtIndex(
            ValueLayout.JAVA_SHORT, (long) row * stride + i, WeightUpload.round(rows[row][i]));
      }
    }
    return upload(host);
  }

  long floats(final float... values) {
    final MemorySegment host = driver.hostMemory(4L * values.length);
    MemorySegment.copy(values, 0, host, ValueLayout.JAVA_FLOAT, 0, values.length);
    return upload(host);
  }

  long ints(final int... values) {
    final MemorySegment host = driver.hostMemory(4L * values.length);
    MemorySegment.copy(values, 0, host, ValueLayout.JAVA_INT, 0, values.length);
    return upload(host);
  }

  long zeros(final long bytes) {
    final long address = driver.allocate(bytes);
    driver.fillWithZeros(address, bytes);
    return address;
  }

  private long upload(final MemorySegment host) {
    final long address = driver.allocate(host.byteSize());
    driver.upload(host, address);
    return address;
  }

  float[][] readFloats(final long address, final int rows, final int stride, final int width) {
    final MemorySegment host = download(address, 4L * rows * stride);
    final float[][] values = new float[rows][width];
    for (int row = 0; row < rows; row++) {
      MemorySegment.copy(host, ValueLayout.JAVA_FLOAT, 4L * row * stride, values[row], 0, width);
    }
    return values;
  }

  float[][] readBf16(final long address, final int rows, final int stride, final int width) {
    final MemorySegment host = download(address, 2L * rows * stride);
    final float[][] values = new float[rows][width];
    for (int row = 0; row < rows; row++) {
      for (int i = 0; i < width; i++) {
        values[row][i] = widened(host.getAtIndex(ValueLayout.JAVA_SHORT, (long) row * stride + i));
      }
    }
    return values;
  }

  private MemorySegment download(final long address, final long bytes) {
    final MemorySegment host = driver.hostMemory(bytes);
    driver.download(address, host);
    driver.synchronize();
    return host;
  }

  private static float widened(final short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  /** What a value is as bfloat16. */
  static float rounded(final float value) {
    return widened(WeightUpload.round(value));
  }
}
