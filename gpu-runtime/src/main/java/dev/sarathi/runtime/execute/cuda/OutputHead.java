package dev.sarathi.runtime.execute.cuda;

import dev.sarathi.runtime.execute.Contenders;
import dev.sarathi.runtime.execute.Readout;
import dev.sarathi.runtime.execute.Sampler;
import dev.sarathi.runtime.execute.cuda.DeviceLayer.Norm;
import dev.sarathi.runtime.model.ModelConfig;
import dev.sarathi.runtime.schedule.SamplingPlan;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/**
 * From the residual stream to tokens: the last norm, logits, and of these to the host no more than
 * it needs to draw.
 *
 * <p>Threading: one thread at a time.
 */
final class OutputHead {
  /** Rows of logits held at a time: a vocabulary is wide, and few slices of a batch sample. */
  private static final int ROWS = 64;

  private final Driver driver;
  private final Kernels kernels;
  private final ModelConfig config;
  private final DeviceMatrix matrix;
  private final Norm norm;
  private final Sampler sampler;
  private final int stride;
  private final long input;
  private final long logits;
  private final long results;
  private final MemorySegment hostLogits;
  private final MemorySegment hostResults;
  private final float[] row;

  /** Of what was last computed. */
  private int resultStride;

  OutputHead(
      final Driver driver,
      final Kernels kernels,
      final ModelConfig config,
      final DeviceMatrix matrix,
      final Norm norm) {
    this.driver = driver;
    this.kernels = kernels;
    this.config = config;
    this.matrix = matrix;
    this.norm = norm;
    sampler = new Sampler(config.vocabularySize());
    stride = DeviceMatrix.padded(config.vocabularySize());
    input = zeros(2L * ROWS * matrix.stride());
    logits = zeros(4L * ROWS * stride);
    results = zeros(4L * ROWS * resultLength(Contenders.MOST));
    hostLogits = driver.hostMemory(4L * ROWS * stride);
    hostResults = driver.hostMemory(4L * ROWS * resultLength(Contenders.MOST));
    row = new float[config.vocabularySize()];
  }

  /** Integers of a row's result: how many contenders, then the logit and id of each. */
  private static int resultLength(final int most) {
    return 1 + 2 * most;
  }

  private long zeros(final long bytes) {
    final long address = driver.allocate(bytes);
    driver.fillWithZeros(address, bytes);
    return address;
  }

  DeviceMatrix matrix() {
    return matrix;
  }

  /**
   * The addresses of the layers' result, and of which rows are wanted and how they are drawn from.
   */
  record Source(long residual, long delta, int deltaStride, long selected, long draws) {}

  /** Queues what the first rows that the readout wants need. */
  void begin(final Source source, final Readout readout) {
    queue(source, 0, readout);
  }

  /** Uses every row that the readout wants, the first of which have been begun with. */
  void finish(final Source source, final Readout readout) {
    for (int first = 0; first < readout.rows(); first += ROWS) {
      if (first > 0) {
        queue(source, first, readout);
      }
      final int count = count(first, readout);
      driver.synchronize();
      fetchWhatIsNotDecided(first, count, readout);
      for (int i = 0; i < count; i++) {
        use(first + i, i, readout);
      }
    }
  }

  private static int count(final int first, final Readout readout) {
    return Math.min(ROWS, readout.rows() - first);
  }

  private void queue(final Source source, final int first, final Readout readout) {
    final int count = count(first, readout);
    if (count > 0) {
      compute(source, first, count);
      fetch(source, first, count, readout);
    }
  }

  private void compute(final Source source, final int first, final int count) {
    kernels.normalise(
        source.residual(),
        source.delta(),
        source.deltaStride(),
        source.selected() + 4L * first,
        config.hiddenSize(),
        norm,
        config.normEpsilon(),
        input,
        matrix.stride(),
        count);
    kernels.logits(input, matrix, logits, stride, count);
  }

  private void fetch(final Source source, final int first, final int count, final Readout readout) {
    int most = 0;
    for (int i = 0; i < count; i++) {
      final Optional<SamplingPlan> plan = readout.contended(first + i);
      if (plan.isEmpty()) {
        fetchLogits(i);
      } else {
        most = Math.max(most, plan.get().rule().temperature() == 0 ? 1 : Contenders.MOST);
      }
    }
    resultStride = resultLength(most);
    if (most > 0) {
      final long draws = source.draws() + BatchPlan.DRAW_BYTES * first;
      kernels.contenders(logits, stride, config.vocabularySize(), draws, results, most, count);
      driver.download(results, hostResults.asSlice(0, 4L * count * resultStride));
    }
  }

  private void fetchLogits(final int index) {
    final long offset = 4L * index * stride;
    driver.download(logits + offset, hostLogits.asSlice(offset, 4L * config.vocabularySize()));
  }

  /** Rows whose logits the sampler shall see, to decide for itself or say what is wrong. */
  private void fetchWhatIsNotDecided(final int first, final int count, final Readout readout) {
    boolean any = false;
    for (int i = 0; i < count; i++) {
      if (readout.contended(first + i).isPresent() && found(i) < 0) {
        fetchLogits(i);
        any = true;
      }
    }
    if (any) {
      driver.synchronize();
    }
  }

  private int found(final int index) {
    return hostResults.getAtIndex(ValueLayout.JAVA_INT, (long) index * resultStride);
  }

  private void use(final int wanted, final int index, final Readout readout) {
    if (readout.contended(wanted).isEmpty() || found(index) < 0) {
      MemorySegment.copy(
          hostLogits, ValueLayout.JAVA_FLOAT, 4L * index * stride, row, 0, row.length);
      readout.use(wanted, row, 0, sampler);
      return;
    }
    final int[] tokens = new int[found(index)];
    final float[] values = new float[tokens.length];
    for (int i = 0; i < tokens.length; i++) {
      final long at = (long) index * resultStride + 1 + 2 * i;
      values[i] = hostResults.getAtIndex(ValueLayout.JAVA_FLOAT, at);
      tokens[i] = hostResults.getAtIndex(ValueLayout.JAVA_INT, at + 1);
    }
    readout.use(wanted, new Contenders(tokens, values), sampler);
  }
}
