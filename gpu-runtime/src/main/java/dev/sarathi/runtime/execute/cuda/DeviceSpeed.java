package dev.sarathi.runtime.execute.cuda;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/**
 * What a device yields where nothing holds it up: the ceilings that a model's speed is compared
 * with.
 *
 * <p>Threading: one thread at a time, the one that uses the driver.
 */
public final class DeviceSpeed {
  private static final int RANDOM_BYTES = 4 << 20;

  /** Sign and fraction of a bfloat16, whose exponent makes it lie between 1/64 and 1/32. */
  private static final int RANDOM_BITS = 0x807F;

  private static final int EXPONENT = 0x3C80;

  private final Driver driver;

  /**
   * @param driver open and idle
   */
  public DeviceSpeed(final Driver driver) {
    this.driver = driver;
  }

  /**
   * How fast the device copies within its memory.
   *
   * @param bytes of a copy: more than its caches hold
   * @param copies to be timed, after one that is not
   * @return bytes a second, each counted when it is read and when it is written
   */
  public double copy(final long bytes, final int copies) {
    final long from = driver.allocate(bytes);
    final long to = driver.allocate(bytes);
    driver.fillWithZeros(from, bytes);
    final double seconds = seconds(copies, () -> driver.copy(from, to, bytes));
    driver.free(from);
    driver.free(to);
    return 2.0 * bytes * copies / seconds;
  }

  /**
   * How fast the kernel of the largest products is with random numbers.
   *
   * @param products to be timed, after one that is not
   * @return additions and multiplications a second
   */
  public double multiply(final int rows, final int outputs, final int inputs, final int products) {
    final int stride = DeviceMatrix.padded(inputs);
    final int resultStride = DeviceMatrix.padded(outputs);
    final long x = random(2L * rows * stride);
    final long w = random(2L * outputs * stride);
    final long y = driver.allocate(2L * rows * resultStride);
    final DeviceMatrix weight = new DeviceMatrix(w, outputs, inputs, stride, 0);
    final Kernels kernels = new Kernels(driver);
    final double seconds =
        seconds(products, () -> kernels.multiply(x, weight, y, resultStride, rows));
    driver.free(x);
    driver.free(w);
    driver.free(y);
    return 2.0 * rows * outputs * inputs * products / seconds;
  }

  private double seconds(final int times, final Runnable queue) {
    queue.run();
    driver.synchronize();
    final long start = System.nanoTime();
    for (int i = 0; i < times; i++) {
      queue.run();
    }
    driver.synchronize();
    return (System.nanoTime() - start) / 1e9;
  }

  /** Zeros would take less power than a model's weights, and the device would be faster by it. */
  private long random(final long bytes) {
    final MemorySegment numbers = driver.hostMemory(Math.min(bytes, RANDOM_BYTES));
    final SplittableRandom random = new SplittableRandom(1);
    for (long i = 0; i < numbers.byteSize() / 2; i++) {
      numbers.setAtIndex(
          ValueLayout.JAVA_SHORT, i, (short) (random.nextInt() & RANDOM_BITS | EXPONENT));
    }
    final long address = driver.allocate(bytes);
    for (long at = 0; at < bytes; at += numbers.byteSize()) {
      driver.upload(numbers.asSlice(0, Math.min(numbers.byteSize(), bytes - at)), address + at);
    }
    driver.synchronize();
    return address;
  }
}
