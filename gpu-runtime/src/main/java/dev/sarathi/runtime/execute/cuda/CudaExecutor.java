package dev.sarathi.runtime.execute.cuda;

import dev.sarathi.runtime.execute.Limits;
import dev.sarathi.runtime.execute.PartwiseExecutor;
import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.model.Model;
import dev.sarathi.runtime.model.ModelConfig;
import java.util.Optional;
import java.util.function.LongToIntFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs a model on an NVIDIA GPU in bfloat16, its weights of eight bits if asked to. Results do not
 * depend on the shape of a batch; they do depend on the GPU's architecture, which the numerics id
 * names.
 *
 * <p>Two batches may be in flight. Tokens are drawn on the calling thread.
 *
 * <p>Threading: one thread at a time calls every method. Weights, keys and values lie on the device
 * and are freed by {@link #close()}.
 */
public final class CudaExecutor extends PartwiseExecutor {
  /** Positions in one KV block. */
  public static final int BLOCK_TOKENS = BatchPlan.BLOCK_TOKENS;

  private static final Logger LOG = LoggerFactory.getLogger(CudaExecutor.class);

  /** Raised whenever a kernel changes a bit of a result. */
  private static final int NUMERICS_VERSION = 1;

  private static final int BATCHES_IN_FLIGHT = 2;

  CudaExecutor(
      final Driver driver,
      final Model model,
      final int rowsAtATime,
      final int contextLength,
      final LongToIntFunction kvBlocks) {
    this(driver, model, rowsAtATime, contextLength, WeightFormat.STORED, true, kvBlocks);
  }

  CudaExecutor(
      final Driver driver,
      final Model model,
      final int rowsAtATime,
      final int contextLength,
      final WeightFormat format,
      final boolean capturing,
      final LongToIntFunction kvBlocks) {
    final Driver.Device device = driver.device();
    final CudaForward forward;
    try {
      forward =
          new CudaForward(driver, model, rowsAtATime, contextLength, format, capturing, kvBlocks);
    } catch (RuntimeException | Error e) {
      driver.close();
      throw e;
    }
    final Limits limits =
        new Limits(
            forward.kvBlocks(),
            BLOCK_TOKENS,
            BATCHES_IN_FLIGHT,
            numericsId(device.architecture(), format));
    super(model.config(), limits, rowsAtATime, forward);
    LOG.info(
        "CUDA executor: kernels {}, {} with {} processors, weights of {} bytes, {} KV blocks of {}"
            + " bytes",
        limits.numericsId(),
        device.name(),
        device.processors(),
        forward.weightBytes(),
        forward.kvBlocks(),
        kvBytesPerBlock(model.config()));
  }

  private static String numericsId(final String architecture, final WeightFormat format) {
    final String weights =
        switch (format) {
          case STORED -> "bf16";
          case INT8 -> "int8";
        };
    return "cuda-" + NUMERICS_VERSION + "/" + architecture + "/" + weights + "/kv-bf16";
  }

  /**
   * Brings a model to the first GPU; it may be closed afterwards.
   *
   * @param rowsAtATime positions for which there are activation buffers; a batch with more is
   *     computed in parts
   * @param contextLength the longest of a sequence
   * @param format of the projections; {@link WeightFormat#STORED} is bfloat16, whatever the file
   *     holds
   * @param kvBlocks how many KV blocks to take, given the bytes that are free when all else is
   *     there; each takes {@link #kvBytesPerBlock}
   * @throws DeviceException if there is no usable GPU, or its memory is too small
   * @throws IllegalArgumentException if the model is {@link #unsupported}
   * @throws dev.sarathi.runtime.model.ModelFormatException if a weight is not a finite number
   */
  public static CudaExecutor open(
      final Model model,
      final int rowsAtATime,
      final int contextLength,
      final WeightFormat format,
      final LongToIntFunction kvBlocks) {
    return open(Driver.open(), model, rowsAtATime, contextLength, format, kvBlocks);
  }

  /** The same on the device of a driver, which is closed with the executor, or if it fails. */
  public static CudaExecutor open(
      final Driver driver,
      final Model model,
      final int rowsAtATime,
      final int contextLength,
      final WeightFormat format,
      final LongToIntFunction kvBlocks) {
    return new CudaExecutor(driver, model, rowsAtATime, contextLength, format, true, kvBlocks);
  }

  /** Why no GPU can be used here, as a clause; empty if one can. */
  public static Optional<String> unavailable() {
    return InstalledDriver.problem();
  }

  /** Why no GPU can run this model, as a clause; empty if one could. */
  public static Optional<String> unsupported(final ModelConfig config) {
    return config.headDim() <= Heads.LARGEST
        ? Optional.empty()
        : Optional.of(
            "the model's heads have %d dimensions, more than the CUDA kernels' %d"
                .formatted(config.headDim(), Heads.LARGEST));
  }

  /** Device memory that one KV block of {@link #BLOCK_TOKENS} positions takes. */
  public static long kvBytesPerBlock(final ModelConfig config) {
    return CudaForward.kvBytesPerBlock(config);
  }
}
