package dev.sarathi.runtime.execute.cpu;

import static dev.sarathi.runtime.execute.cpu.Lanes.FLOATS;
import static dev.sarathi.runtime.execute.cpu.Lanes.INTS;
import static dev.sarathi.runtime.execute.cpu.Lanes.LENGTH;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * The micro-kernels of {@link PackedMatrix}: a tile of the output, kept in registers, gains the
 * product of some rows of x and one panel (or two) of the weights over {@code steps} inputs. A
 * panel is two vectors wide, its lanes are outputs, so that each output is one chain of fused
 * multiply-adds over its inputs in rising order, whatever the tile. Quantised weights are taken
 * group by group: such a chain over the group's integers, which enters the output by one
 * multiply-add with the group's scale.
 *
 * <p>Each kernel is one straight line under about 1,500 bytes of bytecode: past that C2 gives up on
 * inlining the vector operations (its node budget) and runs 35 times slower. So no unrolling over
 * the inputs of several rows, no helpers after the loop (C2 does not inline them in a method that
 * has grown so large, and boxes their vectors), and one method for each tile. Six rows by two
 * vectors are twelve independent sums, which hides the latency of the multiply-add on every
 * processor, and with their operands still fit the 16 registers of AVX2; twelve rows are slower
 * even with 32 registers, since C2 spills them. Where there are 32, eight rows are for what six
 * leave over: four have too few sums. A single row is a matter of memory, and takes two panels.
 */
final class MatrixKernels {
  /** Bytes that one input takes in a panel: one int holds the bfloat16 of two outputs. */
  static final long BF16_STEP = 4L * LENGTH;

  static final long F32_STEP = 8L * LENGTH;
  private static final long HALF_STEP = 4L * LENGTH;

  static final long INT8_STEP = 2L * LENGTH;

  /** Bytes of the scales before the inputs of a quantised group: a float for each output. */
  static final long INT8_SCALES = 8L * LENGTH;

  /** One vector's weights; at least 64 bits, of which 128-bit vectors use the lower half. */
  private static final VectorSpecies<Byte> BYTES =
      VectorSpecies.of(byte.class, VectorShape.forBitSize(Math.max(64, Lanes.BITS / 4)));

  /** How far such a load may reach past the last weight. */
  static final long INT8_OVERRUN = BYTES.length() - LENGTH;

  private static final ByteOrder ORDER = ByteOrder.nativeOrder();

  private MatrixKernels() {}

  // A bfloat16 is the upper half of a float: one shift or one mask widens a whole vector.
  private static FloatVector low(final IntVector pair) {
    return pair.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
  }

  private static FloatVector high(final IntVector pair) {
    return pair.and(0xFFFF0000).reinterpretAsFloats();
  }

  private static FloatVector bytes(final MemorySegment weights, final long at) {
    return (FloatVector)
        ByteVector.fromMemorySegment(BYTES, weights, at, ORDER)
            .convertShape(VectorOperators.B2F, FLOATS, 0);
  }

  private static FloatVector floats(final MemorySegment weights, final long at) {
    return FloatVector.fromMemorySegment(FLOATS, weights, at, ORDER);
  }

  /** For processors with 32 vector registers. */
  static void bf16Rows8(
      final MemorySegment weights,
      final long panel,
      final int steps,
      final float[] x,
      final int xOffset,
      final int xStride,
      final float[] y,
      final int yOffset,
      final int yStride) {
    final int x0 = xOffset;
    final int x1 = xOffset + xStride;
    final int x2 = xOffset + 2 * xStride;
    final int x3 = xOffset + 3 * xStride;
    final int x4 = xOffset + 4 * xStride;
    final int x5 = xOffset + 5 * xStride;
    final int x6 = xOffset + 6 * xStride;
    final int x7 = xOffset + 7 * xStride;
    final int y0 = yOffset;
    final int y1 = yOffset + yStride;
    final int y2 = yOffset + 2 * yStride;
    final int y3 = yOffset + 3 * yStride;
    final int y4 = yOffset + 4 * yStride;
    final int y5 = yOffset + 5 * yStride;
    final int y6 = yOffset + 6 * yStride;
    final int y7 = yOffset + 7 * yStride;
    FloatVector a0 = FloatVector.fromArray(FLOATS, y, y0);
    FloatVector b0 = FloatVector.fromArray(FLOATS, y, y0 + LENGTH);
    FloatVector a1 = FloatVector.fromArray(FLOATS, y, y1);
    FloatVector b1 = FloatVector.fromArray(FLOATS, y, y1 + LENGTH);
    FloatVector a2 = FloatVector.fromArray(FLOATS, y, y2);
    FloatVector b2 = FloatVector.fromArray(FLOATS, y, y2 + LENGTH);
    FloatVector a3 = FloatVector.fromArray(FLOATS, y, y3);
    FloatVector b3 = FloatVector.fromArray(FLOATS, y, y3 + LENGTH);
    FloatVector a4 = FloatVector.fromArray(FLOATS, y, y4);
    FloatVector b4 = FloatVector.fromArray(FLOATS, y, y4 + LENGTH);
    FloatVector a5 = FloatVector.fromArray(FLOATS, y, y5);
    FloatVector b5 = FloatVector.fromArray(FLOATS, y, y5 + LENGTH);
    FloatVector a6 = FloatVector.fromArray(FLOATS, y, y6);
    FloatVector b6 = FloatVector.fromArray(FLOATS, y, y6 + LENGTH);
    FloatVector a7 = FloatVector.fromArray(FLOATS, y, y7);
    FloatVector b7 = FloatVector.fromArray(FLOATS, y, y7 + LENGTH);
    for (int k = 0; k < steps; k++) {
      final long at = (long) k * BF16_STEP;
      final IntVector w = IntVector.fromMemorySegment(INTS, weights, panel + at, ORDER);
      final FloatVector low = low(w);
      final FloatVector high = high(w);
      final FloatVector v0 = FloatVector.broadcast(FLOATS, x[x0 + k]);
      a0 = v0.fma(low, a0);
      b0 = v0.fma(high, b0);
      final FloatVector v1 = FloatVector.broadcast(FLOATS, x[x1 + k]);
      a1 = v1.fma(low, a1);
      b1 = v1.fma(high, b1);
      final FloatVector v2 = FloatVector.broadcast(FLOATS, x[x2 + k]);
      a2 = v2.fma(low, a2);
      b2 = v2.fma(high, b2);
      final FloatVector v3 = FloatVector.broadcast(FLOATS, x[x3 + k]);
      a3 = v3.fma(low, a3);
      b3 = v3.fma(high, b3);
      final FloatVector v4 = FloatVector.broadcast(FLOATS, x[x4 + k]);
      a4 = v4.fma(low, a4);
      b4 = v4.fma(high, b4);
      final FloatVector v5 = FloatVector.broadcast(FLOATS, x[x5 + k]);
      a5 = v5.fma(low, a5);
      b5 = v5.fma(high, b5);
      final FloatVector v6 = FloatVector.broadcast(FLOATS, x[x6 + k]);
      a6 = v6.fma(low, a6);
      b6 = v6.fma(high, b6);
      final FloatVector v7 = FloatVector.broadcast(FLOATS, x[x7 + k]);
      a7 = v7.fma(low, a7);
      b7 = v7.fma(high, b7);
    }
    a0.intoArray(y, y0);
    b0.intoArray(y, y0 + LENGTH);
    a1.intoArray(y, y1);
    b1.intoArray(y, y1 + LENGTH);
    a2.intoArray(y, y2);
    b2.intoArray(y, y2 + LENGTH);
    a3.intoArray(y, y3);
    b3.intoArray(y, y3 + LENGTH);
    a4.intoArray(y, y4);
    b4.intoArray(y, y4 + LENGTH);
    a5.intoArray(y, y5);
    b5.intoArray(y, y5 + LENGTH);
    a6.intoArray(y, y6);
    b6.intoArray(y, y6 + LENGTH);
    a7.intoArray(y, y7);
    b7.intoArray(y, y7 + LENGTH);
  }

  static void bf16Rows6(
      final MemorySegment weights,
      final long panel,
      final int steps,
      final float[] x,
      final int xOffset,
      final int xStride,
      final float[] y,
      final int yOffset,
      final int yStride) {
    final int x0 = xOffset;
    final int x1 = xOffset + xStride;
    final int x2 = xOffset + 2 * xStride;
    final int x3 = xOffset + 3 * xStride;
    final int x4 = xOffset + 4 * xStride;
    final int x5 = xOffset + 5 * xStride;
    final int y0 = yOffset;
    final int y1 = yOffset + yStride;
    final int y2 = yOffset + 2 * yStride;
    final int y3 = yOffset + 3 * yStride;
    final int y4 = yOffset + 4 * yStride;
    final int y5 = yOffset + 5 * yStride;
    FloatVector a0 = FloatVector.fromArray(FLOATS, y, y0);
    FloatVector b0 = FloatVector.fromArray(FLOATS, y, y0 + LENGTH);
    FloatVector a1 = FloatVector.fromArray(FLOATS, y, y1);
    FloatVector b1 = FloatVector.fromArray(FLOATS, y, y1 + LENGTH);
    FloatVector a2 = FloatVector.fromArray(FLOATS, y, y2);
    FloatVector b2 = FloatVector.fromArray(FLOATS, y, y2 + LENGTH);
    FloatVector a3 = FloatVector.fromArray(FLOATS, y, y3);
    FloatVector b3 = FloatVector.fromArray(FLOATS, y, y3 + LENGTH);
    FloatVector a4 = FloatVector.fromArray(FLOATS, y, y4);
    FloatVector b4 = FloatVector.fromArray(FLOATS, y, y4 + LENGTH);
    FloatVector a5 = FloatVector.fromArray(FLOATS, y, y5);
    FloatVector b5 = FloatVector.fromArray(FLOATS, y, y5 + LENGTH);
    for (int k = 0; k < steps; k++) {
      final long at = (long) k * BF16_STEP;
      final IntVector w = IntVector.fromMemorySegment(INTS, weights, panel + at, ORDER);
      final FloatVector low = low(w);
      final FloatVector high = high(w);
      final FloatVector v0 = FloatVector.broadcast(FLOATS, x[x0 + k]);
      a0 = v0.fma(low, a0);
      b0 = v0.fma(high, b0);
      final FloatVector v1 = FloatVector.broadcast(FLOATS, x[x1 + k]);
      a1 = v1.fma(low, a1);
      b1 = v1.fma(high, b1);
      final FloatVector v2 = FloatVector.broadcast(FLOATS, x[x2 + k]);
      a2 = v2.fma(low, a2);
      b2 = v2.fma(high, b2);
      final FloatVector v3 = FloatVector.broadcast(FLOATS, x[x3 + k]);
      a3 = v3.fma(low, a3);
      b3 = v3.fma(high, b3);
      final FloatVector v4 = FloatVector.broadcast(FLOATS, x[x4 + k]);
      a4 = v4.fma(low, a4);
      b4 = v4.fma(high, b4);
      final FloatVector v5 = FloatVector.broadcast(FLOATS, x[x5 + k]);
      a5 = v5.fma(low, a5);
      b5 = v5.fma(high, b5);
    }
    a0.intoArray(y, y0);
    b0.intoArray(y, y0 + LENGTH);
    a1.intoArray(y, y1);
    b1.intoArray(y, y1 + LENGTH);
    a2.intoArray(y, y2);
    b2.intoArray(y, y2 + LENGTH);
    a3.intoArray(y, y3);
    b3.intoArray(y, y3 + LENGTH);
    a4.intoArray(y, y4);
    b4.intoArray(y, y4 + LENGTH);
    a5.intoArray(y, y5);
    b5.intoArray(y, y5 + LENGTH);
  }

  static void bf16Rows4(
      final MemorySegment weights,
      final long panel,
      final int steps,
      final float[] x,
      final int xOffset,
      final int xStride,
      final float[] y,
      final int yOffset,
      final int yStride) {
    final int x0 = xOffset;
    final int x1 = xOffset + xStride;
    final int x2 = xOffset + 2 * xStride;
    final int x3 = xOffset + 3 * xStride;
    final int y0 = yOffset;
    final int y1 = yOffset + yStride;
    final int y2 = yOffset + 2 * yStride;
    final int y3 = yOffset + 3 * yStride;
    FloatVector a0 = FloatVector.fromArray(FLOATS, y, y0);
    FloatVector b0 = FloatVector.fromArray(FLOATS, y, y0 + LENGTH);
    FloatVector a1 = FloatVector.fromArray(FLOATS, y, y1);
    FloatVector b1 = FloatVector.fromArray(FLOATS, y, y1 + LENGTH);
    FloatVector a2 = FloatVector.fromArray(FLOATS, y, y2);
    FloatVector b2 = FloatVector.fromArray(FLOATS, y, y2 + LENGTH);
    FloatVector a3 = FloatVector.fromArray(FLOATS, y, y3);
    FloatVector b3 = FloatVector.fromArray(FLOATS, y, y3 + LENGTH);
    for (int k = 0; k < steps; k++) {
      final long at = (long) k * BF16_STEP;
      final IntVector w = IntVector.fromMemorySegment(INTS, weights, panel + at, ORDER);
      final FloatVector low = low(w);
      final FloatVector high = high(w);
      final FloatVector v0 = FloatVector.broadcast(FLOATS, x[x0 + k]);
      a0 = v0.fma(low, a0);
      b0 = v0.fma(high, b0);
      final FloatVector v1 = FloatVector.broadcast(FLOATS, x[x1 + k]);
      a1 = v1.fma(low, a1);
      b1 = v1.fma(high, b1);
      final FloatVector v2 = FloatVector.broadcast(FLOATS, x[x2 + k]);
      a2 = v2.fma(low, a2);
      b2 = v2.fma(high, b2);
      final FloatVector v3 = FloatVector.broadcast(FLOATS, x[x3 + k]);
      a3 = v3.fma(low, a3);
      b3 = v3.fma(high, b3);
    }
    a0.intoArray(y, y0);
    b0.intoArray(y, y0 + LENGTH);
    a1.intoArray(y, y1);
    b1.intoArray(y, y1 + LENGTH);
    a2.intoArray(y, y2);
    b2.intoArray(y, y2 + LENGTH);
    a3.intoArray(y, y3);
    b3.intoArray(y, y3 + LENGTH);
  }

  static void bf16Row(
      final MemorySegment weights,
      final long panel,
      final int steps,
      final float[] x,
      final int xOffset,
      final float[] y,
      final int yOffset) {
    final int x0 = xOffset;
    final int y0 = yOffset;
    FloatVector a0 = FloatVector.fromArray(FLOATS, y, y0);
    FloatVector b0 = FloatVector.fromArray(FLOATS, y, y0 + LENGTH);
    for (int k = 0; k < steps; k++) {
      final long at = (long) k * BF16_STEP;
      final FloatVector v = FloatVector.broadcast(FLOATS, x[x0 + k]);
      final IntVector w = IntVector.fromMemorySegment(INTS, weights, panel + at, ORDER);
      a0 = v.fma(low(w), a0);
      b0 = v.fma(high(w), b0);
    }
    a0.intoArray(y, y0);
    b0.intoArray(y, y0 + LENGTH);
  }

  /**
   * @param steps an even number: with two inputs at a time a panel is read by two cache lines,
   *     which reaches half again the bandwidth of four panels by one line each
   */
  static void bf16RowPanels2(
      final MemorySegment weights,
      final long panel,
      final long panelStride,
      final int steps,
      final float[] x,
      final int xOffset,
      final float[] y,
      final int yOffset) {
    final int x0 = xOffset;
    FloatVector a0 = FloatVector.fromArray(FLOATS, y, yOffset);
    FloatVector b0 = FloatVector.fromArray(FLOATS, y, yOffset + LENGTH);
    FloatVector a1 = FloatVector.fromArray(FLOATS, y, yOffset + 2 * LENGTH);
    FloatVector b1 = FloatVector.fromArray(FLOATS, y, yOffset + 3 * LENGTH);
    final long p0 = panel;
    final long p1 = panel + panelStride;
    for (int k = 0; k < steps; k += 2) {
      final long at = (long) k * BF16_STEP;
      final FloatVector v = FloatVector.broadcast(FLOATS, x[x0 + k]);
      final FloatVector u = FloatVector.broadcast(FLOATS, x[x0 + k + 1]);
      final IntVector v0 = IntVector.fromMemorySegment(INTS, weights, p0 + at, ORDER);
      final IntVector u0 = IntVector.fromMemorySegment(INTS, weights, p0 + at + BF16_STEP, ORDER);
      final IntVector v1 = IntVector.fromMemorySegment(INTS, weights, p1 + at, ORDER);
      final IntVector u1 = IntVector.fromMemorySegment(INTS, weights, p1 + at + BF16_STEP, ORDER);
      a0 = v.fma(low(v0), a0);
      b0 = v.fma(high(v0), b0);
      a1 = v.fma(low(v1), a1);
      b1 = v.fma(high(v1), b1);
      a0 = u.fma(low(u0), a0);
      b0 = u.fma(high(u0), b0);
      a1 = u.fma(low(u1), a1);
      b1 = u.fma(high(u1), b1);
    }
    a0.intoArray(y, yOffset);
    b0.intoArray(y, yOffset + LENGTH);
    a1.intoArray(y, yOffset + 2 * LENGTH);
    b1.intoArray(y, yOffset + 3 * LENGTH);
  }

  static void f32Rows6(
      final MemorySegment weights,
      final long panel,
      final int steps,
      final float[] x,
      final int xOffset,
      final int xStride,
      final float[] y,
      final int yOffset,
      final int yStride) {
    final int x0 = xOffset;
    final int x1 = xOffset + xStride;
    final int x2 = xOffset + 2 * xStride;
    final int x3 = xOffset + 3 * xStride;
    final int x4 = xOffset + 4 * xStride;
    final int x5 = xOffset + 5 * xStride;
    final int y0 = yOffset;
    final int y1 = yOffset + yStride;
    final int y2 = yOffset + 2 * yStride;
    final int y3 = yOffset + 3 * yStride;
    final int y4 = yOffset + 4 * yStride;
    final int y5 = yOffset + 5 * yStride;
    FloatVector a0 = FloatVector.fromArray(FLOATS, y, y0);
    FloatVector b0 = FloatVector.fromArray(FLOATS, y, y0 + LENGTH);
    FloatVector a1 = FloatVector.fromArray(FLOATS, y, y1);
    FloatVector b1 = FloatVector.fromArray(FLOATS, y, y1 + LENGTH);
    FloatVector a2 = FloatVector.fromArray(FLOATS, y, y2);
    FloatVector b2 = FloatVector.fromArray(FLOATS, y, y2 + LENGTH);
    FloatVector a3 = FloatVector.fromArray(FLOATS, y, y3);
    FloatVector b3 = FloatVector.fromArray(FLOATS, y, y3 + LENGTH);
    FloatVector a4 = FloatVector.fromArray(FLOATS, y, y4);
    FloatVector b4 = FloatVector.fromArray(FLOATS, y, y4 + LENGTH);
    FloatVector a5 = FloatVector.fromArray(FLOATS, y, y5);
    FloatVector b5 = FloatVector.fromArray(FLOATS, y, y5 + LENGTH);
    for (int k = 0; k < steps; k++) {
      final long at = (long) k * F32_STEP;
      final FloatVector low = FloatVector.fromMemorySegment(FLOATS, weights, panel + at, ORDER);
      final FloatVector high =
          FloatVector.fromMemorySegment(FLOATS, weights, panel + at + HALF_STEP, ORDER);
      final FloatVector v0 = FloatVector.broadcast(FLOATS, x[x0 + k]);
      a0 = v0.fma(low, a0);
      b0 = v0.fma(high, b0);
      final FloatVector v1 = FloatVector.broadcast(FLOATS, x[x1 + k]);
      a1 = v1.fma(low, a1);
      b1 = v1.fma(high, b1);
      final FloatVector v2 = FloatVector.broadcast(FLOATS, x[x2 + k]);
      a2 = v2.fma(low, a2);
      b2 = v2.fma(high, b2);
      final FloatVector v3 = FloatVector.broadcast(FLOATS, x[x3 + k]);
      a3 = v3.fma(low, a3);
      b3 = v3.fma(high, b3);
      final FloatVector v4 = FloatVector.broadcast(FLOATS, x[x4 + k]);
      a4 = v4.fma(low, a4);
      b4 = v4.fma(high, b4);
      final FloatVector v5 = FloatVector.broadcast(FLOATS, x[x5 + k]);
      a5 = v5.fma(low, a5);
      b5 = v5.fma(high, b5);
    }
    a0.intoArray(y, y0);
    b0.intoArray(y, y0 + LENGTH);
    a1.intoArray(y, y1);
    b1.intoArray(y, y1 + LENGTH);
    a2.intoArray(y, y2);
    b2.intoArray(y, y2 + LENGTH);
    a3.intoArray(y, y3);
    b3.intoArray(y, y3 + LENGTH);
    a4.intoArray(y, y4);
    b4.intoArray(y, y4 + LENGTH);
    a5.intoArray(y, y5);
    b5.intoArray(y, y5 + LENGTH);
  }

  static void f32Rows4(
      final MemorySegment weights,
      final long panel,
      final int steps,
      final float[] x,
      final int xOffset,
      final int xStride,
      final float[] y,
      final int yOffset,
      final int yStride) {
    final int x0 = xOffset;
    final int x1 = xOffset + xStride;
    final int x2 = xOffset + 2 * xStride;
    final int x3 = xOffset + 3 * xStride;
    final int y0 = yOffset;
    final int y1 = yOffset + yStride;
    final int y2 = yOffset + 2 * yStride;
    final int y3 = yOffset + 3 * yStride;
    FloatVector a0 = FloatVector.fromArray(FLOATS, y, y0);
    FloatVector b0 = FloatVector.fromArray(FLOATS, y, y0 + LENGTH);
    FloatVector a1 = FloatVector.fromArray(FLOATS, y, y1);
    FloatVector b1 = FloatVector.fromArray(FLOATS, y, y1 + LENGTH);
    FloatVector a2 = FloatVector.fromArray(FLOATS, y, y2);
    FloatVector b2 = FloatVector.fromArray(FLOATS, y, y2 + LENGTH);
    FloatVector a3 = FloatVector.fromArray(FLOATS, y, y3);
    FloatVector b3 = FloatVector.fromArray(FLOATS, y, y3 + LENGTH);
    for (int k = 0; k < steps; k++) {
      final long at = (long) k * F32_STEP;
      final FloatVector low = FloatVector.fromMemorySegment(FLOATS, weights, panel + at, ORDER);
      final FloatVector high =
          FloatVector.fromMemorySegment(FLOATS, weights, panel + at + HALF_STEP, ORDER);
      final FloatVector v0 = FloatVector.broadcast(FLOATS, x[x0 + k]);
      a0 = v0.fma(low, a0);
      b0 = v0.fma(high, b0);
      final FloatVector v1 = FloatVector.broadcast(FLOATS, x[x1 + k]);
      a1 = v1.fma(low, a1);
      b1 = v1.fma(high, b1);
      final FloatVector v2 = FloatVector.broadcast(FLOATS, x[x2 + k]);
      a2 = v2.fma(low, a2);
      b2 = v2.fma(high, b2);
      final FloatVector v3 = FloatVector.broadcast(FLOATS, x[x3 + k]);
      a3 = v3.fma(low, a3);
      b3 = v3.fma(high, b3);
    }
    a0.intoArray(y, y0);
    b0.intoArray(y, y0 + LENGTH);
    a1.intoArray(y, y1);
    b1.intoArray(y, y1 + LENGTH);
    a2.intoArray(y, y2);
    b2.intoArray(y, y2 + LENGTH);
    a3.intoArray(y, y3);
    b3.intoArray(y, y3 + LENGTH);
  }

  static void f32Row(
      final MemorySegment weights,
      final long panel,
      final int steps,
      final float[] x,
      final int xOffset,
      final float[] y,
      final int yOffset) {
    final int x0 = xOffset;
    final int y0 = yOffset;
    FloatVector a0 = FloatVector.fromArray(FLOATS, y, y0);
    FloatVector b0 = FloatVector.fromArray(FLOATS, y, y0 + LENGTH);
    for (int k = 0; k < steps; k++) {
      final long at = (long) k * F32_STEP;
      final FloatVector v = FloatVector.broadcast(FLOATS, x[x0 + k]);
      a0 = v.fma(FloatVector.fromMemorySegment(FLOATS, weights, panel + at, ORDER), a0);
      b0 = v.fma(FloatVector.fromMemorySegment(FLOATS, weights, panel + at + HALF_STEP, ORDER), b0);
    }
    a0.intoArray(y, y0);
    b0.intoArray(y, y0 + LENGTH);
  }

  static void f32RowPanels2(
      final MemorySegment weights,
      final long panel,
      final long panelStride,
      final int steps,
      final float[] x,
      final int xOffset,
      final float[] y,
      final int yOffset) {
    final int x0 = xOffset;
    FloatVector a0 = FloatVector.fromArray(FLOATS, y, yOffset);
    FloatVector b0 = FloatVector.fromArray(FLOATS, y, yOffset + LENGTH);
    FloatVector a1 = FloatVector.fromArray(FLOATS, y, yOffset + 2 * LENGTH);
    FloatVector b1 = FloatVector.fromArray(FLOATS, y, yOffset + 3 * LENGTH);
    final long p0 = panel;
    final long p1 = panel + panelStride;
    for (int k = 0; k < steps; k++) {
      final long at = (long) k * F32_STEP;
      final FloatVector v = FloatVector.broadcast(FLOATS, x[x0 + k]);
      a0 = v.fma(FloatVector.fromMemorySegment(FLOATS, weights, p0 + at, ORDER), a0);
      b0 = v.fma(FloatVector.fromMemorySegment(FLOATS, weights, p0 + at + HALF_STEP, ORDER), b0);
      a1 = v.fma(FloatVector.fromMemorySegment(FLOATS, weights, p1 + at, ORDER), a1);
      b1 = v.fma(FloatVector.fromMemorySegment(FLOATS, weights, p1 + at + HALF_STEP, ORDER), b1);
    }
    a0.intoArray(y, yOffset);
    b0.intoArray(y, yOffset + LENGTH);
    a1.intoArray(y, yOffset + 2 * LENGTH);
    b1.intoArray(y, yOffset + 3 * LENGTH);
  }

  static void int8Rows6(
      final MemorySegment weights,
      final long group,
      final int steps,
      final float[] x,
      final int xOffset,
      final int xStride,
      final float[] y,
      final int yOffset,
      final int yStride) {
    final int x0 = xOffset;
    final int x1 = xOffset + xStride;
    final int x2 = xOffset + 2 * xStride;
    final int x3 = xOffset + 3 * xStride;
    final int x4 = xOffset + 4 * xStride;
    final int x5 = xOffset + 5 * xStride;
    FloatVector a0 = FloatVector.zero(FLOATS);
    FloatVector b0 = FloatVector.zero(FLOATS);
    FloatVector a1 = FloatVector.zero(FLOATS);
    FloatVector b1 = FloatVector.zero(FLOATS);
    FloatVector a2 = FloatVector.zero(FLOATS);
    FloatVector b2 = FloatVector.zero(FLOATS);
    FloatVector a3 = FloatVector.zero(FLOATS);
    FloatVector b3 = FloatVector.zero(FLOATS);
    FloatVector a4 = FloatVector.zero(FLOATS);
    FloatVector b4 = FloatVector.zero(FLOATS);
    FloatVector a5 = FloatVector.zero(FLOATS);
    FloatVector b5 = FloatVector.zero(FLOATS);
    for (int k = 0; k < steps; k++) {
      final long at = group + INT8_SCALES + k * INT8_STEP;
      final FloatVector low = bytes(weights, at);
      final FloatVector high = bytes(weights, at + LENGTH);
      final FloatVector v0 = FloatVector.broadcast(FLOATS, x[x0 + k]);
      a0 = v0.fma(low, a0);
      b0 = v0.fma(high, b0);
      final FloatVector v1 = FloatVector.broadcast(FLOATS, x[x1 + k]);
      a1 = v1.fma(low, a1);
      b1 = v1.fma(high, b1);
      final FloatVector v2 = FloatVector.broadcast(FLOATS, x[x2 + k]);
      a2 = v2.fma(low, a2);
      b2 = v2.fma(high, b2);
      final FloatVector v3 = FloatVector.broadcast(FLOATS, x[x3 + k]);
      a3 = v3.fma(low, a3);
      b3 = v3.fma(high, b3);
      final FloatVector v4 = FloatVector.broadcast(FLOATS, x[x4 + k]);
      a4 = v4.fma(low, a4);
      b4 = v4.fma(high, b4);
      final FloatVector v5 = FloatVector.broadcast(FLOATS, x[x5 + k]);
      a5 = v5.fma(low, a5);
      b5 = v5.fma(high, b5);
    }
    final FloatVector lowScale = floats(weights, group);
    final FloatVector highScale = floats(weights, group + HALF_STEP);
    a0.fma(lowScale, FloatVector.fromArray(FLOATS, y, yOffset)).intoArray(y, yOffset);
    b0.fma(highScale, FloatVector.fromArray(FLOATS, y, yOffset + LENGTH))
        .intoArray(y, yOffset + LENGTH);
    a1.fma(lowScale, FloatVector.fromArray(FLOATS, y, yOffset + yStride))
        .intoArray(y, yOffset + yStride);
    b1.fma(highScale, FloatVector.fromArray(FLOATS, y, yOffset + yStride + LENGTH))
        .intoArray(y, yOffset + yStride + LENGTH);
    a2.fma(lowScale, FloatVector.fromArray(FLOATS, y, yOffset + 2 * yStride))
        .intoArray(y, yOffset + 2 * yStride);
    b2.fma(highScale, FloatVector.fromArray(FLOATS, y, yOffset + 2 * yStride + LENGTH))
        .intoArray(y, yOffset + 2 * yStride + LENGTH);
    a3.fma(lowScale, FloatVector.fromArray(FLOATS, y, yOffset + 3 * yStride))
        .intoArray(y, yOffset + 3 * yStride);
    b3.fma(highScale, FloatVector.fromArray(FLOATS, y, yOffset + 3 * yStride + LENGTH))
        .intoArray(y, yOffset + 3 * yStride + LENGTH);
    a4.fma(lowScale, FloatVector.fromArray(FLOATS, y, yOffset + 4 * yStride))
        .intoArray(y, yOffset + 4 * yStride);
    b4.fma(highScale, FloatVector.fromArray(FLOATS, y, yOffset + 4 * yStride + LENGTH))
        .intoArray(y, yOffset + 4 * yStride + LENGTH);
    a5.fma(lowScale, FloatVector.fromArray(FLOATS, y, yOffset + 5 * yStride))
        .intoArray(y, yOffset + 5 * yStride);
    b5.fma(highScale, FloatVector.fromArray(FLOATS, y, yOffset + 5 * yStride + LENGTH))
        .intoArray(y, yOffset + 5 * yStride + LENGTH);
  }

  /** A group's scales and weights as floats, once for many rows. */
  static void int8Widen(
      final MemorySegment weights, final long group, final int steps, final float[] widened) {
    floats(weights, group).intoArray(widened, 0);
    floats(weights, group + HALF_STEP).intoArray(widened, LENGTH);
    for (int k = 0; k < steps; k++) {
      final long at = group + INT8_SCALES + k * INT8_STEP;
      bytes(weights, at).intoArray(widened, (k + 1) * 2 * LENGTH);
      bytes(weights, at + LENGTH).intoArray(widened, (k + 1) * 2 * LENGTH + LENGTH);
    }
  }

  /** As {@link #int8Rows6}, of widened weights. */
  static void int8WidenedRows6(
      final float[] widened,
      final int steps,
      final float[] x,
      final int xOffset,
      final int xStride,
      final float[] y,
      final int yOffset,
      final int yStride) {
    final int x0 = xOffset;
    final int x1 = xOffset + xStride;
    final int x2 = xOffset + 2 * xStride;
    final int x3 = xOffset + 3 * xStride;
    final int x4 = xOffset + 4 * xStride;
    final int x5 = xOffset + 5 * xStride;
    FloatVector a0 = FloatVector.zero(FLOATS);
    FloatVector b0 = FloatVector.zero(FLOATS);
    FloatVector a1 = FloatVector.zero(FLOATS);
    FloatVector b1 = FloatVector.zero(FLOATS);
    FloatVector a2 = FloatVector.zero(FLOATS);
    FloatVector b2 = FloatVector.zero(FLOATS);
    FloatVector a3 = FloatVector.zero(FLOATS);
    FloatVector b3 = FloatVector.zero(FLOATS);
    FloatVector a4 = FloatVector.zero(FLOATS);
    FloatVector b4 = FloatVector.zero(FLOATS);
    FloatVector a5 = FloatVector.zero(FLOATS);
    FloatVector b5 = FloatVector.zero(FLOATS);
    for (int k = 0; k < steps; k++) {
      final int at = (k + 1) * 2 * LENGTH;
      final FloatVector low = FloatVector.fromArray(FLOATS, widened, at);
      final FloatVector high = FloatVector.fromArray(FLOATS, widened, at + LENGTH);
      final FloatVector v0 = FloatVector.broadcast(FLOATS, x[x0 + k]);
      a0 = v0.fma(low, a0);
      b0 = v0.fma(high, b0);
      final FloatVector v1 = FloatVector.broadcast(FLOATS, x[x1 + k]);
      a1 = v1.fma(low, a1);
      b1 = v1.fma(high, b1);
      final FloatVector v2 = FloatVector.broadcast(FLOATS, x[x2 + k]);
      a2 = v2.fma(low, a2);
      b2 = v2.fma(high, b2);
      final FloatVector v3 = FloatVector.broadcast(FLOATS, x[x3 + k]);
      a3 = v3.fma(low, a3);
      b3 = v3.fma(high, b3);
      final FloatVector v4 = FloatVector.broadcast(FLOATS, x[x4 + k]);
      a4 = v4.fma(low, a4);
      b4 = v4.fma(high, b4);
      final FloatVector v5 = FloatVector.broadcast(FLOATS, x[x5 + k]);
      a5 = v5.fma(low, a5);
      b5 = v5.fma(high, b5);
    }
    final FloatVector lowScale = FloatVector.fromArray(FLOATS, widened, 0);
    final FloatVector highScale = FloatVector.fromArray(FLOATS, widened, LENGTH);
    a0.fma(lowScale, FloatVector.fromArray(FLOATS, y, yOffset)).intoArray(y, yOffset);
    b0.fma(highScale, FloatVector.fromArray(FLOATS, y, yOffset + LENGTH))
        .intoArray(y, yOffset + LENGTH);
    a1.fma(lowScale, FloatVector.fromArray(FLOATS, y, yOffset + yStride))
        .intoArray(y, yOffset + yStride);
    b1.fma(highScale, FloatVector.fromArray(FLOATS, y, yOffset + yStride + LENGTH))
        .intoArray(y, yOffset + yStride + LENGTH);
    a2.fma(lowScale, FloatVector.fromArray(FLOATS, y, yOffset + 2 * yStride))
        .intoArray(y, yOffset + 2 * yStride);
    b2.fma(highScale, FloatVector.fromArray(FLOATS, y, yOffset + 2 * yStride + LENGTH))
        .intoArray(y, yOffset + 2 * yStride + LENGTH);
    a3.fma(lowScale, FloatVector.fromArray(FLOATS, y, yOffset + 3 * yStride))
        .intoArray(y, yOffset + 3 * yStride);
    b3.fma(highScale, FloatVector.fromArray(FLOATS, y, yOffset + 3 * yStride + LENGTH))
        .intoArray(y, yOffset + 3 * yStride + LENGTH);
    a4.fma(lowScale, FloatVector.fromArray(FLOATS, y, yOffset + 4 * yStride))
        .intoArray(y, yOffset + 4 * yStride);
    b4.fma(highScale, FloatVector.fromArray(FLOATS, y, yOffset + 4 * yStride + LENGTH))
        .intoArray(y, yOffset + 4 * yStride + LENGTH);
    a5.fma(lowScale, FloatVector.fromArray(FLOATS, y, yOffset + 5 * yStride))
        .intoArray(y, yOffset + 5 * yStride);
    b5.fma(highScale, FloatVector.fromArray(FLOATS, y, yOffset + 5 * yStride + LENGTH))
        .intoArray(y, yOffset + 5 * yStride + LENGTH);
  }

  static void int8Rows4(
      final MemorySegment weights,
      final long group,
      final int steps,
      final float[] x,
      final int xOffset,
      final int xStride,
      final float[] y,
      final int yOffset,
      final int yStride) {
    final int x0 = xOffset;
    final int x1 = xOffset + xStride;
    final int x2 = xOffset + 2 * xStride;
    final int x3 = xOffset + 3 * xStride;
    FloatVector a0 = FloatVector.zero(FLOATS);
    FloatVector b0 = FloatVector.zero(FLOATS);
    FloatVector a1 = FloatVector.zero(FLOATS);
    FloatVector b1 = FloatVector.zero(FLOATS);
    FloatVector a2 = FloatVector.zero(FLOATS);
    FloatVector b2 = FloatVector.zero(FLOATS);
    FloatVector a3 = FloatVector.zero(FLOATS);
    FloatVector b3 = FloatVector.zero(FLOATS);
    for (int k = 0; k < steps; k++) {
      final long at = group + INT8_SCALES + k * INT8_STEP;
      final FloatVector low = bytes(weights, at);
      final FloatVector high = bytes(weights, at + LENGTH);
      final FloatVector v0 = FloatVector.broadcast(FLOATS, x[x0 + k]);
      a0 = v0.fma(low, a0);
      b0 = v0.fma(high, b0);
      final FloatVector v1 = FloatVector.broadcast(FLOATS, x[x1 + k]);
      a1 = v1.fma(low, a1);
      b1 = v1.fma(high, b1);
      final FloatVector v2 = FloatVector.broadcast(FLOATS, x[x2 + k]);
      a2 = v2.fma(low, a2);
      b2 = v2.fma(high, b2);
      final FloatVector v3 = FloatVector.broadcast(FLOATS, x[x3 + k]);
      a3 = v3.fma(low, a3);
      b3 = v3.fma(high, b3);
    }
    final FloatVector lowScale = floats(weights, group);
    final FloatVector highScale = floats(weights, group + HALF_STEP);
    a0.fma(lowScale, FloatVector.fromArray(FLOATS, y, yOffset)).intoArray(y, yOffset);
    b0.fma(highScale, FloatVector.fromArray(FLOATS, y, yOffset + LENGTH))
        .intoArray(y, yOffset + LENGTH);
    a1.fma(lowScale, FloatVector.fromArray(FLOATS, y, yOffset + yStride))
        .intoArray(y, yOffset + yStride);
    b1.fma(highScale, FloatVector.fromArray(FLOATS, y, yOffset + yStride + LENGTH))
        .intoArray(y, yOffset + yStride + LENGTH);
    a2.fma(lowScale, FloatVector.fromArray(FLOATS, y, yOffset + 2 * yStride))
        .intoArray(y, yOffset + 2 * yStride);
    b2.fma(highScale, FloatVector.fromArray(FLOATS, y, yOffset + 2 * yStride + LENGTH))
        .intoArray(y, yOffset + 2 * yStride + LENGTH);
    a3.fma(lowScale, FloatVector.fromArray(FLOATS, y, yOffset + 3 * yStride))
        .intoArray(y, yOffset + 3 * yStride);
    b3.fma(highScale, FloatVector.fromArray(FLOATS, y, yOffset + 3 * yStride + LENGTH))
        .intoArray(y, yOffset + 3 * yStride + LENGTH);
  }

  static void int8Row(
      final MemorySegment weights,
      final long group,
      final int steps,
      final float[] x,
      final int xOffset,
      final float[] y,
      final int yOffset) {
    FloatVector a0 = FloatVector.zero(FLOATS);
    FloatVector b0 = FloatVector.zero(FLOATS);
    for (int k = 0; k < steps; k++) {
      final long at = group + INT8_SCALES + k * INT8_STEP;
      final FloatVector v = FloatVector.broadcast(FLOATS, x[xOffset + k]);
      a0 = v.fma(bytes(weights, at), a0);
      b0 = v.fma(bytes(weights, at + LENGTH), b0);
    }
    a0.fma(floats(weights, group), FloatVector.fromArray(FLOATS, y, yOffset)).intoArray(y, yOffset);
    b0.fma(floats(weights, group + HALF_STEP), FloatVector.fromArray(FLOATS, y, yOffset + LENGTH))
        .intoArray(y, yOffset + LENGTH);
  }

  /**
   * One row and four panels of quantised weights, not scaled yet: that would be more than C2
   * inlines in one method. With fewer panels the memory idles while their bytes are widened.
   */
  static void int8SumPanels4(
      final MemorySegment weights,
      final long group,
      final long panelStride,
      final int steps,
      final float[] x,
      final int xOffset,
      final float[] sums) {
    FloatVector a0 = FloatVector.zero(FLOATS);
    FloatVector b0 = FloatVector.zero(FLOATS);
    FloatVector a1 = FloatVector.zero(FLOATS);
    FloatVector b1 = FloatVector.zero(FLOATS);
    FloatVector a2 = FloatVector.zero(FLOATS);
    FloatVector b2 = FloatVector.zero(FLOATS);
    FloatVector a3 = FloatVector.zero(FLOATS);
    FloatVector b3 = FloatVector.zero(FLOATS);
    final long p0 = group;
    final long p1 = p0 + panelStride;
    final long p2 = p1 + panelStride;
    final long p3 = p2 + panelStride;
    for (int k = 0; k < steps; k++) {
      final long at = INT8_SCALES + k * INT8_STEP;
      final FloatVector v = FloatVector.broadcast(FLOATS, x[xOffset + k]);
      a0 = v.fma(bytes(weights, p0 + at), a0);
      b0 = v.fma(bytes(weights, p0 + at + LENGTH), b0);
      a1 = v.fma(bytes(weights, p1 + at), a1);
      b1 = v.fma(bytes(weights, p1 + at + LENGTH), b1);
      a2 = v.fma(bytes(weights, p2 + at), a2);
      b2 = v.fma(bytes(weights, p2 + at + LENGTH), b2);
      a3 = v.fma(bytes(weights, p3 + at), a3);
      b3 = v.fma(bytes(weights, p3 + at + LENGTH), b3);
    }
    a0.intoArray(sums, 0);
    b0.intoArray(sums, LENGTH);
    a1.intoArray(sums, 2 * LENGTH);
    b1.intoArray(sums, 3 * LENGTH);
    a2.intoArray(sums, 4 * LENGTH);
    b2.intoArray(sums, 5 * LENGTH);
    a3.intoArray(sums, 6 * LENGTH);
    b3.intoArray(sums, 7 * LENGTH);
  }

  /** Scales the sums of one panel and adds them. */
  static void int8AddScaled(
      final MemorySegment weights,
      final long group,
      final float[] sums,
      final int from,
      final float[] y,
      final int yOffset) {
    FloatVector.fromArray(FLOATS, sums, from)
        .fma(floats(weights, group), FloatVector.fromArray(FLOATS, y, yOffset))
        .intoArray(y, yOffset);
    FloatVector.fromArray(FLOATS, sums, from + LENGTH)
        .fma(floats(weights, group + HALF_STEP), FloatVector.fromArray(FLOATS, y, yOffset + LENGTH))
        .intoArray(y, yOffset + LENGTH);
  }
}
