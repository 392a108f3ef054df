package dev.sarathi.runtime.execute.cpu;

import dev.sarathi.runtime.execute.Limits;
import dev.sarathi.runtime.execute.PartwiseExecutor;
import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.model.Model;
import dev.sarathi.runtime.model.ModelConfig;
import dev.sarathi.runtime.model.Tensor;
import dev.sarathi.runtime.model.Weights;
import java.lang.foreign.Arena;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs a model on this machine's processor with the Vector API, or with compiled kernels where it
 * has dot products. Results do not depend on the number of threads, the vector width or the shape
 * of a batch.
 *
 * <p>One batch is in flight, and is computed on the calling thread with the workers beside it.
 *
 * <p>Threading: one thread calls every method. Weights, keys and values lie outside the Java heap
 * and are freed by {@link #close()}.
 */
public final class CpuExecutor extends PartwiseExecutor {
  /** Positions in one KV block. */
  public static final int BLOCK_TOKENS = KvCache.BLOCK_TOKENS;

  private static final Logger LOG = LoggerFactory.getLogger(CpuExecutor.class);
  private static final String VECTOR_MODULE = "jdk.incubator.vector";

  private final ForwardPass forward;

  /** As below, with the weights as stored and the kernels in Java. */
  public CpuExecutor(
      final Model model, final int kvBlocks, final int rowsAtATime, final int threads) {
    this(model, kvBlocks, rowsAtATime, threads, WeightFormat.STORED);
  }

  /** As below, with the kernels in Java. */
  public CpuExecutor(
      final Model model,
      final int kvBlocks,
      final int rowsAtATime,
      final int threads,
      final WeightFormat format) {
    this(model, kvBlocks, rowsAtATime, threads, format, KernelSet.JAVA);
  }

  /**
   * Copies the model's weights into the order that the kernels read; the model may be closed
   * afterwards.
   *
   * @param kvBlocks blocks of the KV cache, each of {@link #kvBytesPerBlock} bytes
   * @param rowsAtATime positions for which there are activation buffers; a batch with more is
   *     computed in parts
   * @param threads the calling thread and the workers beside it
   * @param kernels those that compute the products with weights
   * @throws IllegalStateException if the JVM runs without the vector module, or if the kernels
   *     cannot run here
   * @throws IllegalArgumentException if a number is below 1
   * @throws dev.sarathi.runtime.model.ModelFormatException if a weight is not a finite number
   */
  public CpuExecutor(
      final Model model,
      final int kvBlocks,
      final int rowsAtATime,
      final int threads,
      final WeightFormat format,
      final KernelSet kernels) {
    requireVectorModule();
    if (!kernels.obstacle().isEmpty()) {
      throw new IllegalStateException(kernels.obstacle());
    }
    requirePositive("KV blocks", kvBlocks);
    requirePositive("rows at a time", rowsAtATime);
    requirePositive("threads", threads);
    final Limits limits =
        new Limits(kvBlocks, KvCache.BLOCK_TOKENS, 1, numericsId(kernels, model.weights(), format));
    final ForwardPass pass = forward(model, kvBlocks, rowsAtATime, threads, format, kernels);
    super(model.config(), limits, rowsAtATime, pass);
    forward = pass;
    LOG.info(
        "CPU executor: kernels {}, vectors of {} bits, {} threads, weights of {} bytes,"
            + " {} KV blocks of {} bytes",
        limits.numericsId(),
        Lanes.BITS,
        threads,
        weightBytes(),
        kvBlocks,
        kvBytesPerBlock(model.config()));
  }

  private static ForwardPass forward(
      final Model model,
      final int kvBlocks,
      final int rowsAtATime,
      final int threads,
      final WeightFormat format,
      final KernelSet kernels) {
    final Arena arena = Arena.ofShared();
    final WorkerPool pool = new WorkerPool(threads);
    try {
      final KvCache cache = new KvCache(model.config(), kvBlocks, arena);
      return new ForwardPass(model, cache, rowsAtATime, kernels, format, pool, arena);
    } catch (RuntimeException | Error e) {
      pool.close();
      arena.close();
      throw e;
    }
  }

  /** Memory that one KV block of {@link Limits#blockTokens()} positions takes. */
  public static long kvBytesPerBlock(ModelConfig config) {
    return KvCache.bytesPerBlock(config);
  }

  /** Memory that the matrices take. */
  long weightBytes() {
    return forward.weightBytes();
  }

  private static void requireVectorModule() {
    if (ModuleLayer.boot().findModule(VECTOR_MODULE).isEmpty()) {
      throw new IllegalStateException(
          "the CPU executor needs the module "
              + VECTOR_MODULE
              + ": start java with --add-modules="
              + VECTOR_MODULE);
    }
  }

  private static void requirePositive(final String name, final int value) {
    if (value < 1) {
      throw new IllegalArgumentException(name + ": " + value + "; at least 1 is needed");
    }
  }

  private static String numericsId(
      final KernelSet kernels, final Weights weights, final WeightFormat format) {
    final Set<String> types = new TreeSet<>();
    types.add(typeName(weights.embedding()));
    switch (format) {
      case INT8 -> types.add("i8g" + PackedMatrix.QUANTISED_GROUP);
      case STORED -> {
        types.add(typeName(weights.head()));
        weights.layers().stream()
            .flatMap(layer -> layer.projections().stream())
            .forEach(projection -> types.add(typeName(projection.weight())));
      }
    }
    return kernels.numerics() + "/" + String.join("+", types) + "/kv-f32";
  }

  private static String typeName(final Tensor tensor) {
    return tensor.dataType().name().toLowerCase(Locale.ROOT);
  }
}
