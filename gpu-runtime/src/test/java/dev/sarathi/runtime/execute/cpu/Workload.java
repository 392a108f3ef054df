package dev.sarathi.runtime.execute.cpu;

import static dev.sarathi.runtime.execute.cpu.Lanes.FLOATS;
import static dev.sarathi.runtime.execute.cpu.Lanes.LENGTH;

import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.model.DataType;
import dev.sarathi.runtime.model.Llama;
import dev.sarathi.runtime.model.ModelConfig;
import dev.sarathi.runtime.model.Rope;
import dev.sarathi.runtime.model.Tensor;
import dev.sarathi.runtime.model.Weights.Projection;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * One kernel at the shapes of a model of a billion parameters, or one of the machine's ceilings, by
 * which the kernels are judged: multiply-adds without any memory, and reading memory without any
 * arithmetic.
 *
 * @param operation for a {@link WorkerPool}
 * @param units of one operation
 * @param flops of one operation
 * @param bytes that one operation reads from memory, each once
 */
record Workload(WorkerPool.Operation operation, int units, double flops, double bytes) {
  private static final int FMA_STEPS = 400_000;
  private static final long READ_BYTES = 1L << 28;
  private static final long READ_UNIT = 1L << 18;

  /** What matrices take together, so that none of them stays in a cache until its next turn. */
  private static final long UNCACHED = 200L << 20;

  private static final int KV_HEADS = 4;
  private static final int GROUP = 8;
  private static final int HEAD_DIM = 64;

  /**
   * The workload of a name.
   *
   * @param name {@code fma}, {@code read}, {@code java attention 256+2048} for 256 rows after 2048
   *     others, or {@code java bf16 512x2048x5632} for 512 rows, 2048 inputs and 5632 outputs
   */
  static Workload named(final String name) {
    if (name.equals("fma")) {
      return fma();
    }
    if (name.equals("read")) {
      return read();
    }
    final String[] words = name.split("[ x+]");
    final KernelSet kernels = KernelSet.named(words[0]);
    final int[] sizes = Arrays.stream(words).skip(2).mapToInt(Integer::parseInt).toArray();
    return switch (words[1]) {
      case "attention" -> attention(kernels, sizes[1], sizes[0]);
      default ->
          product(
              kernels,
              words[1].equals("int8") ? WeightFormat.INT8 : WeightFormat.STORED,
              words[1].equals("f32") ? DataType.F32 : DataType.BF16,
              sizes[0],
              sizes[1],
              sizes[2]);
    };
  }

  /** The ceiling of arithmetic. */
  private static Workload fma() {
    final float[] sinks = new float[64 * LENGTH];
    return new Workload(
        (unit, worker) -> fma(FMA_STEPS, sinks, worker * LENGTH),
        4,
        4.0 * FMA_STEPS * 12 * 2 * LENGTH,
        0);
  }

  /** Twelve independent chains, as many as hide the latency of a multiply-add everywhere. */
  private static void fma(final int steps, final float[] sink, final int at) {
    final FloatVector v = FloatVector.broadcast(FLOATS, 0.999f);
    final FloatVector w = FloatVector.fromArray(FLOATS, sink, at);
    FloatVector a = w;
    FloatVector b = w;
    FloatVector c = w;
    FloatVector d = w;
    FloatVector e = w;
    FloatVector f = w;
    FloatVector g = w;
    FloatVector h = w;
    FloatVector i = w;
    FloatVector j = w;
    FloatVector k = w;
    FloatVector l = w;
    for (int step = 0; step < steps; step++) {
      a = v.fma(a, w);
      b = v.fma(b, w);
      c = v.fma(c, w);
      d = v.fma(d, w);
      e = v.fma(e, w);
      f = v.fma(f, w);
      g = v.fma(g, w);
      h = v.fma(h, w);
      i = v.fma(i, w);
      j = v.fma(j, w);
      k = v.fma(k, w);
      l = v.fma(l, w);
    }
    a.add(b)
        .add(c)
        .add(d)
        .add(e)
        .add(f)
        .add(g)
        .add(h)
        .add(i)
        .add(j)
        .add(k)
        .add(l)
        .intoArray(sink, at);
  }

  /** The ceiling of memory. */
  private static Workload read() {
    final MemorySegment data = Arena.ofAuto().allocate(READ_BYTES, 64);
    data.fill((byte) 1);
    final int[] sinks = new int[64 * LENGTH];
    return new Workload(
        (unit, worker) -> read(data, unit * READ_UNIT, sinks, worker * LENGTH),
        (int) (READ_BYTES / READ_UNIT),
        0,
        READ_BYTES);
  }

  /** From two places by two lines each, which has been faster than any other pattern. */
  private static void read(
      final MemorySegment data, final long from, final int[] sink, final int at) {
    final ByteOrder order = ByteOrder.nativeOrder();
    final int vector = 4 * LENGTH;
    final long half = from + READ_UNIT / 2;
    IntVector a = IntVector.fromArray(Lanes.INTS, sink, at);
    IntVector b = a;
    IntVector c = a;
    IntVector d = a;
    for (int i = 0; i < READ_UNIT / 2; i += 2 * vector) {
      a = a.or(IntVector.fromMemorySegment(Lanes.INTS, data, from + i, order));
      b = b.or(IntVector.fromMemorySegment(Lanes.INTS, data, from + i + vector, order));
      c = c.or(IntVector.fromMemorySegment(Lanes.INTS, data, half + i, order));
      d = d.or(IntVector.fromMemorySegment(Lanes.INTS, data, half + i + vector, order));
    }
    a.or(b).or(c).or(d).intoArray(sink, at);
  }

  /** A product of some rows; matrices take turns where few rows make it a matter of memory. */
  private static Workload product(
      final KernelSet kernels,
      final WeightFormat format,
      final DataType type,
      final int rows,
      final int inputs,
      final int outputs) {
    final Random random = new Random(1);
    final PackedMatrix first = matrix(random, kernels, format, type, inputs, outputs);
    final int count = rows > 8 ? 1 : (int) Math.ceilDiv(UNCACHED, first.bytes());
    final PackedMatrix[] matrices = new PackedMatrix[count];
    Arrays.setAll(
        matrices, i -> i == 0 ? first : matrix(random, kernels, format, type, inputs, outputs));
    final float[] x = floats(random, rows * inputs);
    final float[] y = new float[rows * first.stride()];
    final int groups = first.groups(rows);
    return new Workload(
        (unit, worker) -> matrices[unit / groups].multiply(unit % groups, rows, x, y),
        count * groups,
        2.0 * count * first.work() * rows,
        (double) count * first.bytes());
  }

  /**
   * Attention of 4 groups of 8 heads of 64 dimensions.
   *
   * @param position of the first row
   * @param rows consecutive positions; 1 for a decode
   */
  private static Workload attention(final KernelSet kernels, final int position, final int rows) {
    final ModelConfig config = config();
    final int end = position + rows;
    final int contexts = rows > 1 ? 1 : 32; // as many as exceed the caches
    final int contextBlocks = Math.ceilDiv(end, KvCache.BLOCK_TOKENS);
    final KvCache cache = new KvCache(config, contexts * contextBlocks, Arena.ofAuto());
    final Random random = new Random(1);
    for (long at = 0; at < cache.data.byteSize(); at += 4) {
      cache.data.set(ValueLayout.JAVA_FLOAT, at, random.nextFloat() - 0.5f);
    }
    final int width = KV_HEADS * GROUP * HEAD_DIM;
    final float[] x = floats(random, rows * width);
    final float[] y = new float[rows * width];
    final int unitRows = Math.min(rows, 4);
    final int parts = rows / unitRows;
    final Attention[] attention = new Attention[64];
    Arrays.setAll(attention, i -> new Attention(config, kernels));
    final int[][] blocks = new int[contexts][];
    Arrays.setAll(
        blocks, i -> IntStream.range(i * contextBlocks, (i + 1) * contextBlocks).toArray());
    final double keys = (double) rows * position + rows * (rows + 1.0) / 2;
    return new Workload(
        (unit, worker) -> {
          final int row = unit / KV_HEADS % parts * unitRows;
          attention[worker].run(
              cache,
              0,
              unit % KV_HEADS,
              Integer.MAX_VALUE,
              blocks[unit / KV_HEADS / parts],
              position + row,
              row,
              unitRows,
              x,
              width,
              y);
        },
        contexts * parts * KV_HEADS,
        4 * keys * width * contexts,
        cache.data.byteSize());
  }

  /** Runs the whole operation once, and returns how many nanoseconds it took. */
  long time(final WorkerPool pool) {
    final long start = System.nanoTime();
    pool.run(units, Long.MAX_VALUE, operation);
    return System.nanoTime() - start;
  }

  private static PackedMatrix matrix(
      final Random random,
      final KernelSet kernels,
      final WeightFormat format,
      final DataType type,
      final int inputs,
      final int outputs) {
    final MemorySegment data = Arena.ofAuto().allocate((long) outputs * inputs * type.bytes());
    final int values = outputs * inputs;
    int seed = random.nextInt();
    for (int i = 0; i < values; i++) {
      seed = seed * 1_664_525 + 1_013_904_223;
      final float value = (seed >> 8) * 0x1p-23f;
      switch (type) {
        case F32 -> data.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
        case BF16 ->
            data.setAtIndex(
                ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(value) >>> 16));
        case F16 -> data.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(value));
      }
    }
    final Tensor tensor = new Tensor("weight", type, List.of((long) outputs, (long) inputs), data);
    return PackedMatrix.pack(
        new WeightLoader(Path.of("model"), Arena.ofAuto(), kernels, format, 1e-5f),
        List.of(Projection.of(tensor, Optional.empty())));
  }

  private static float[] floats(final Random random, final int length) {
    final float[] values = new float[length];
    for (int i = 0; i < length; i++) {
      values[i] = random.nextFloat() - 0.5f;
    }
    return values;
  }

  private static ModelConfig config() {
    return new ModelConfig(
        new Llama(false, false),
        16,
        KV_HEADS * GROUP * HEAD_DIM,
        16,
        1,
        KV_HEADS * GROUP,
        KV_HEADS,
        HEAD_DIM,
        1e-5f,
        8192,
        new Rope.Plain(10_000),
        true,
        OptionalInt.empty(),
        Set.of());
  }
}
