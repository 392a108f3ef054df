package dev.sarathi.runtime.execute.cuda;

import dev.sarathi.runtime.execute.cuda.DeviceLayer.HeadNorms;
import dev.sarathi.runtime.execute.cuda.DeviceLayer.Norm;
import java.util.stream.Stream;

/**
 * The kernels of {@code src/main/cuda} with the shapes of their launches. Which of several tiles
 * computes a product or who walks which keys may depend on the batch: it changes no bit.
 */
final class Kernels {
  private static final int WIDE_THREADS = 256;
  private static final int CONTENDERS_THREADS = 512;
  private static final int HEADS_OF_A_BLOCK = 4;
  private static final int KEY_TILE = 32;
  private static final int STAGES_OF_KEYS_AND_VALUES = 4;

  private final Driver driver;
  private final int processors;

  Kernels(final Driver driver) {
    this.driver = driver;
    processors = driver.device().processors();
  }

  /** A tile of a product: its kernel's name, threads and shared memory. */
  enum Tile {
    NARROW(16, 32, 64, 6),
    MIDDLE(64, 64, 128, 4),
    WIDE(128, 128, 256, 3);

    private final int rows;
    private final int outputs;
    private final int threads;
    private final int stages;

    Tile(final int rows, final int outputs, final int threads, final int stages) {
      this.rows = rows;
      this.outputs = outputs;
      this.threads = threads;
      this.stages = stages;
    }

    private int sharedBytes(final boolean quantised) {
      final int weights =
          quantised ? DeviceMatrix.GROUP + Float.BYTES : DeviceMatrix.GROUP * Short.BYTES;
      return stages * (rows * DeviceMatrix.GROUP * Short.BYTES + outputs * weights);
    }

    private int blocks(final int batchRows, final int batchOutputs) {
      return Math.ceilDiv(batchRows, rows) * Math.ceilDiv(batchOutputs, outputs);
    }
  }

  /** The largest tile that leaves no processor idle; decodes of few rows read narrow ones. */
  Tile tile(final int rows, final int outputs) {
    if (rows <= Tile.NARROW.rows) {
      return Tile.NARROW;
    }
    return rows > Tile.MIDDLE.rows && Tile.WIDE.blocks(rows, outputs) >= processors
        ? Tile.WIDE
        : Tile.MIDDLE;
  }

  /** {@code y = x * w^T + bias} in bfloat16; rows of x are {@code w.stride()} elements apart. */
  void multiply(
      final long x, final DeviceMatrix w, final long y, final int yStride, final int rows) {
    multiply("multiply", tile(rows, w.outputs()), x, w, y, yStride, rows);
  }

  /** The same with floats as outputs. */
  void logits(final long x, final DeviceMatrix w, final long y, final int yStride, final int rows) {
    multiply("logits", tile(rows, w.outputs()), x, w, y, yStride, rows);
  }

  void multiply(
      final String family,
      final Tile tile,
      final long x,
      final DeviceMatrix w,
      final long y,
      final int yStride,
      final int rows) {
    final String name = w.quantised() ? family + "_int8_" : family + "_";
    final Stream<Object> scales = w.quantised() ? Stream.of(w.scales()) : Stream.empty();
    driver.launch(
        new Launch(
            name + tile.rows + "x" + tile.outputs,
            Math.ceilDiv(rows, tile.rows),
            Math.ceilDiv(w.outputs(), tile.outputs),
            tile.threads,
            tile.sharedBytes(w.quantised()),
            Stream.of(
                    Stream.of(x, w.address()),
                    scales,
                    Stream.of(w.stride(), w.bias(), y, yStride, rows, w.outputs()))
                .flatMap(arguments -> arguments)
                .toArray()));
  }

  void embed(
      final long tokens,
      final DeviceMatrix embedding,
      final long residual,
      final int width,
      final int rows) {
    driver.launch(
        new Launch(
            "embed",
            rows,
            1,
            WIDE_THREADS,
            0,
            tokens,
            embedding.address(),
            embedding.stride(),
            residual,
            width));
  }

  void add(
      final long residual, final long delta, final int stride, final int width, final int rows) {
    driver.launch(new Launch("add", rows, 1, WIDE_THREADS, 0, residual, delta, stride, width));
  }

  /**
   * @param delta added to the residual stream first, or 0
   * @param selected the address of the indices of the rows to normalise, or 0 for all
   */
  void normalise(
      final long residual,
      final long delta,
      final int deltaStride,
      final long selected,
      final int width,
      final Norm norm,
      final float epsilon,
      final long normed,
      final int stride,
      final int rows) {
    driver.launch(
        new Launch(
            "normalise",
            rows,
            1,
            WIDE_THREADS,
            WIDE_THREADS / 32 * Float.BYTES,
            residual,
            delta,
            deltaStride,
            selected,
            width,
            norm.weight(),
            norm.bias(),
            epsilon,
            normed,
            stride));
  }

  void activate(
      final boolean gated,
      final long up,
      final int upStride,
      final long activated,
      final int stride,
      final int width,
      final int rows) {
    driver.launch(
        new Launch(
            gated ? "silu_multiply" : "gelu",
            rows,
            Math.ceilDiv(width, WIDE_THREADS),
            WIDE_THREADS,
            0,
            up,
            upStride,
            activated,
            stride,
            width));
  }

  /** The addresses of what a batch's rows and items are. */
  record Rotation(long positions, long slots, long cosines, long sines) {}

  void rotateAndStore(
      final long queryKeyValue,
      final int stride,
      final Rotation rotation,
      final HeadNorms norms,
      final float epsilon,
      final Heads heads,
      final long queries,
      final long cache,
      final int rows) {
    driver.launch(
        new Launch(
            "rotate_and_store",
            rows,
            Math.ceilDiv(heads.query() + 2 * heads.keyValue(), HEADS_OF_A_BLOCK),
            32 * HEADS_OF_A_BLOCK,
            0,
            queryKeyValue,
            stride,
            rotation.positions(),
            rotation.slots(),
            rotation.cosines(),
            rotation.sines(),
            norms.query(),
            norms.key(),
            epsilon,
            heads.query(),
            heads.keyValue(),
            heads.dim(),
            heads.paddedDim(),
            queries,
            cache));
  }

  /**
   * @param warps 1, or 4 for items of 64 queries
   * @param partials where the items that are split leave their spans
   */
  void attend(
      final int warps,
      final int items,
      final long queries,
      final long cache,
      final long table,
      final long itemAddress,
      final Heads heads,
      final int window,
      final long output,
      final int outputStride,
      final long partials) {
    final int dim = heads.paddedDim();
    driver.launch(
        new Launch(
            "attend_" + dim + "x" + warps,
            items,
            heads.keyValue(),
            32 * warps,
            2 * dim * (16 * warps + STAGES_OF_KEYS_AND_VALUES * KEY_TILE),
            queries,
            cache,
            table,
            itemAddress,
            heads.query(),
            heads.keyValue(),
            heads.dim(),
            window,
            heads.scale(),
            output,
            outputStride,
            partials));
  }

  void mergeSpans(
      final int items,
      final long partials,
      final long itemAddress,
      final Heads heads,
      final long output,
      final int outputStride) {
    driver.launch(
        new Launch(
            "merge_spans",
            items,
            heads.keyValue(),
            WIDE_THREADS,
            0,
            partials,
            itemAddress,
            heads.query(),
            heads.keyValue(),
            heads.dim(),
            heads.paddedDim(),
            output,
            outputStride));
  }

  /**
   * @param draws the address of how each row is drawn from
   * @param most contenders of a row for which there is room among the results
   */
  void contenders(
      final long logits,
      final int stride,
      final int vocabulary,
      final long draws,
      final long results,
      final int most,
      final int rows) {
    driver.launch(
        new Launch(
            "contenders",
            rows,
            1,
            CONTENDERS_THREADS,
            CONTENDERS_THREADS / 32 * (Float.BYTES + Integer.BYTES),
            logits,
            stride,
            vocabulary,
            draws,
            results,
            most));
  }
}
