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
 * product of some rows of x and one panel (or four) of the weights over {@code steps} inputs. A
 * panel is two vectors wide, its lanes are outputs, so that each output is one chain of fused
 * multiply-adds over its inputs in rising order, whatever the tile. Quantised weights are taken
 * group by group: such a chain over the group's integers, which enters the output by one
 * multiply-add with the group's scale.
 *
 * <p>Each kernel is one straight line under about 1,500 bytes of bytecode: past that C2 gives up on
 * inlining the vector operations (its node budget) and runs 35 times slower. So no unrolling over
 * the inputs, and one method for each tile. Six rows by two vectors are twelve independent sums,
 * which hides the latency of the multiply-add on every processor, and with their operands still fit
 * the 16 registers of AVX2; twelve rows are slower even with 32 registers, since C2 spills them.
 * Four panels do the same for a single row.
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

  /** A group's sum of products enters the output scaled, in one rounding. */
  private static void accumulate(
      final FloatVector sum, final FloatVector scale, final float[] y, final int at) {
    sum.fma(scale, FloatVector.fromArray(FLOATS, y, at)).intoArray(y, at);
  }

  private static FloatVector floats(final MemorySegment weights, final long at) {
    return FloatVector.fromMemorySegment(FLOATS, weights, at, ORDER);
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

  static void bf16RowPanels4(
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
    FloatVector a2 = FloatVector.fromArray(FLOATS, y, yOffset + 4 * LENGTH);
    FloatVector b2 = FloatVector.fromArray(FLOATS, y, yOffset + 5 * LENGTH);
    FloatVector a3 = FloatVector.fromArray(FLOATS, y, yOffset + 6 * LENGTH);
    FloatVector b3 = FloatVector.fromArray(FLOATS, y, yOffset + 7 * LENGTH);
    final long p0 = panel;
    final long p1 = panel + panelStride;
    final long p2 = panel + 2 * panelStride;
    final long p3 = panel + 3 * panelStride;
    for (int k = 0; k < steps; k++) {
      final long at = (long) k * BF16_STEP;
      final FloatVector v = FloatVector.broadcast(FLOATS, x[x0 + k]);
      final IntVector w0 = IntVector.fromMemorySegment(INTS, weights, p0 + at, ORDER);
      final IntVector w1 = IntVector.fromMemorySegment(INTS, weights, p1 + at, ORDER);
      final IntVector w2 = IntVector.fromMemorySegment(INTS, weights, p2 + at, ORDER);
      final IntVector w3 = IntVector.fromMemorySegment(INTS, weights, p3 + at, ORDER);
      a0 = v.fma(low(w0), a0);
      b0 = v.fma(high(w0), b0);
      a1 = v.fma(low(w1), a1);
      b1 = v.fma(high(w1), b1);
      a2 = v.fma(low(w2), a2);
      b2 = v.fma(high(w2), b2);
      a3 = v.fma(low(w3), a3);
      b3 = v.fma(high(w3), b3);
    }
    a0.intoArray(y, yOffset);
    b0.intoArray(y, yOffset + LENGTH);
    a1.intoArray(y, yOffset + 2 * LENGTH);
    b1.intoArray(y, yOffset + 3 * LENGTH);
    a2.intoArray(y, yOffset + 4 * LENGTH);
    b2.intoArray(y, yOffset + 5 * LENGTH);
    a3.intoArray(y, yOffset + 6 * LENGTH);
    b3.intoArray(y, yOffset + 7 * LENGTH);
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

  static void f32RowPanels4(
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
    FloatVector a2 = FloatVector.fromArray(FLOATS, y, yOffset + 4 * LENGTH);
    FloatVector b2 = FloatVector.fromArray(FLOATS, y, yOffset + 5 * LENGTH);
    FloatVector a3 = FloatVector.fromArray(FLOATS, y, yOffset + 6 * LENGTH);
    FloatVector b3 = FloatVector.fromArray(FLOATS, y, yOffset + 7 * LENGTH);
    final long p0 = panel;
    final long p1 = panel + panelStride;
    final long p2 = panel + 2 * panelStride;
    final long p3 = panel + 3 * panelStride;
    for (int k = 0; k < steps; k++) {
      final long at = (long) k * F32_STEP;
      final FloatVector v = FloatVector.broadcast(FLOATS, x[x0 + k]);
      a0 = v.fma(FloatVector.fromMemorySegment(FLOATS, weights, p0 + at, ORDER), a0);
      b0 = v.fma(FloatVector.fromMemorySegment(FLOATS, weights, p0 + at + HALF_STEP, ORDER), b0);
      a1 = v.fma(FloatVector.fromMemorySegment(FLOATS, weights, p1 + at, ORDER), a1);
      b1 = v.fma(FloatVector.fromMemorySegment(FLOATS, weights, p1 + at + HALF_STEP, ORDER), b1);
      a2 = v.fma(FloatVector.fromMemorySegment(FLOATS, weights, p2 + at, ORDER), a2);
      b2 = v.fma(FloatVector.fromMemorySegment(FLOATS, weights, p2 + at + HALF_STEP, ORDER), b2);
      a3 = v.fma(FloatVector.fromMemorySegment(FLOATS, weights, p3 + at, ORDER), a3);
      b3 = v.fma(FloatVector.fromMemorySegment(FLOATS, weights, p3 + at + HALF_STEP, ORDER), b3);
    }
    a0.intoArray(y, yOffset);
    b0.intoArray(y, yOffset + LENGTH);
    a1.intoArray(y, yOffset + 2 * LENGTH);
    b1.intoArray(y, yOffset + 3 * LENGTH);
    a2.intoArray(y, yOffset + 4 * LENGTH);
    b2.intoArray(y, yOffset + 5 * LENGTH);
    a3.intoArray(y, yOffset + 6 * LENGTH);
    b3.intoArray(y, yOffset + 7 * LENGTH);
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
    accumulate(a0, lowScale, y, yOffset);
    accumulate(b0, highScale, y, yOffset + LENGTH);
    accumulate(a1, lowScale, y, yOffset + yStride);
    accumulate(b1, highScale, y, yOffset + yStride + LENGTH);
    accumulate(a2, lowScale, y, yOffset + 2 * yStride);
    accumulate(b2, highScale, y, yOffset + 2 * yStride + LENGTH);
    accumulate(a3, lowScale, y, yOffset + 3 * yStride);
    accumulate(b3, highScale, y, yOffset + 3 * yStride + LENGTH);
    accumulate(a4, lowScale, y, yOffset + 4 * yStride);
    accumulate(b4, highScale, y, yOffset + 4 * yStride + LENGTH);
    accumulate(a5, lowScale, y, yOffset + 5 * yStride);
    accumulate(b5, highScale, y, yOffset + 5 * yStride + LENGTH);
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
    accumulate(a0, lowScale, y, yOffset);
    accumulate(b0, highScale, y, yOffset + LENGTH);
    accumulate(a1, lowScale, y, yOffset + yStride);
    accumulate(b1, highScale, y, yOffset + yStride + LENGTH);
    accumulate(a2, lowScale, y, yOffset + 2 * yStride);
    accumulate(b2, highScale, y, yOffset + 2 * yStride + LENGTH);
    accumulate(a3, lowScale, y, yOffset + 3 * yStride);
    accumulate(b3, highScale, y, yOffset + 3 * yStride + LENGTH);
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
    accumulate(a0, floats(weights, group), y, yOffset);
    accumulate(b0, floats(weights, group + HALF_STEP), y, yOffset + LENGTH);
  }

  static void int8RowPanels4(
      final MemorySegment weights,
      final long group,
      final long panelStride,
      final int steps,
      final float[] x,
      final int xOffset,
      final float[] y,
      final int yOffset) {
    FloatVector a0 = FloatVector.zero(FLOATS);
    FloatVector b0 = FloatVector.zero(FLOATS);
    FloatVector a1 = FloatVector.zero(FLOATS);
    FloatVector b1 = FloatVector.zero(FLOATS);
    FloatVector a2 = FloatVector.zero(FLOATS);
    FloatVector b2 = FloatVector.zero(FLOATS);
    FloatVector a3 = FloatVector.zero(FLOATS);
    FloatVector b3 = FloatVector.zero(FLOATS);
    final long p0 = group;
    final long p1 = group + panelStride;
    final long p2 = group + 2 * panelStride;
    final long p3 = group + 3 * panelStride;
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
    accumulate(a0, floats(weights, p0), y, yOffset);
    accumulate(b0, floats(weights, p0 + HALF_STEP), y, yOffset + LENGTH);
    accumulate(a1, floats(weights, p1), y, yOffset + 2 * LENGTH);
    accumulate(b1, floats(weights, p1 + HALF_STEP), y, yOffset + 3 * LENGTH);
    accumulate(a2, floats(weights, p2), y, yOffset + 4 * LENGTH);
    accumulate(b2, floats(weights, p2 + HALF_STEP), y, yOffset + 5 * LENGTH);
    accumulate(a3, floats(weights, p3), y, yOffset + 6 * LENGTH);
    accumulate(b3, floats(weights, p3 + HALF_STEP), y, yOffset + 7 * LENGTH);
  }
}
