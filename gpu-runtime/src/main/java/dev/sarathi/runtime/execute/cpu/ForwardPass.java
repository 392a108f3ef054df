package dev.sarathi.runtime.execute.cpu;

import dev.sarathi.runtime.execute.Forward;
import dev.sarathi.runtime.execute.Readout;
import dev.sarathi.runtime.execute.Sampler;
import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.execute.cpu.WeightLoader.Normalisation;
import dev.sarathi.runtime.model.Model;
import dev.sarathi.runtime.model.ModelConfig;
import dev.sarathi.runtime.model.Weights;
import dev.sarathi.runtime.model.Weights.Projection;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Slice;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * The transformer over a hybrid batch: the rows of all slices, chunks and decodes alike, go through
 * each weight together, so that it is read once. Only attention tells sequences apart.
 *
 * <p>Threading: one thread calls {@link #run}; it shares each operation with the pool. The fields
 * that describe the batch are written between operations and only read by them.
 */
final class ForwardPass implements Forward {
  /** Logits rows held at a time: a vocabulary is wide, and few slices of a batch sample. */
  private static final int HEAD_ROWS = 64;

  /** Rows of one unit of the operations on single rows. */
  private static final int ROWS = 8;

  /** Queries of one unit of attention. */
  private static final int QUERIES = 32;

  private final ModelConfig config;
  private final WorkerPool pool;
  private final Arena arena;
  private final KvCache cache;
  private final RotaryTable rotary;
  private final PackedMatrix embedding;
  private final PackedLayer[] layers;
  private final Normalisation finalNorm;
  private final PackedMatrix head;

  // One for each worker.
  private final Attention[] attention;
  private final Sampler[] samplers;
  private final float[][] sums;

  // Activations, a row for each position of the batch.
  private final float[] residual;
  private final float[] normed;
  private final float[] queryKeyValue;
  private final float[] attended;
  private final float[] delta;
  private final float[] up;
  private final float[] activated;
  private final float[] headInput;
  private final float[] logits;

  // The batch.
  private final int[] tokens;
  private final int[] positions;
  private final Slice[] slices;
  private final int[] sliceRows;
  private final int[] rowSlices;
  private final Readout readout;
  private final int[] attentionSlices;
  private final int[] attentionRows;
  private int rows;
  private int attentionUnits;

  // The operation that runs.
  private PackedLayer layer;
  private int layerIndex;
  private PackedMatrix matrix;
  private float[] input;
  private float[] product;
  private Normalisation norm;
  private int inputRows;
  private int headStart;

  private final WorkerPool.Operation embed = this::embed;
  private final WorkerPool.Operation multiply = this::multiply;
  private final WorkerPool.Operation addAndNormalise = this::addAndNormalise;
  private final WorkerPool.Operation add = this::add;
  private final WorkerPool.Operation rotateAndStore = this::rotateAndStore;
  private final WorkerPool.Operation attend = this::attend;
  private final WorkerPool.Operation activate = this::activate;
  private final WorkerPool.Operation useLogits = this::useLogits;

  ForwardPass(
      final Model model,
      final KvCache cache,
      final int maxRows,
      final KernelSet kernels,
      final WeightFormat format,
      final WorkerPool pool,
      final Arena arena) {
    this.pool = pool;
    this.arena = arena;
    this.cache = cache;
    config = model.config();
    rotary = new RotaryTable(config);

    final Weights weights = model.weights();
    final WeightLoader loader =
        new WeightLoader(model.directory(), arena, kernels, format, config.normEpsilon());
    embedding = loader.embedding(weights.embedding());
    head =
        config.tiedEmbeddings()
            ? embedding
            : loader.matrix(List.of(Projection.of(weights.head(), Optional.empty())));
    finalNorm = loader.norm(weights.finalNorm());
    layers =
        weights.layers().stream()
            .map(layer -> PackedLayer.load(layer, loader))
            .toArray(PackedLayer[]::new);

    attention = new Attention[pool.threads()];
    Arrays.setAll(attention, i -> new Attention(config, kernels));
    samplers = new Sampler[pool.threads()];
    Arrays.setAll(samplers, i -> new Sampler(config.vocabularySize()));
    sums = new float[pool.threads()][Lanes.VIRTUAL];

    final PackedLayer first = layers[0];
    residual = rows(maxRows, config.hiddenSize());
    normed = rows(maxRows, config.hiddenSize());
    queryKeyValue = rows(maxRows, first.queryKeyValue().stride());
    attended = rows(maxRows, config.queryWidth());
    delta = rows(maxRows, first.output().stride());
    up = rows(maxRows, first.up().stride());
    activated = rows(maxRows, config.intermediateSize());
    headInput = rows(HEAD_ROWS, config.hiddenSize());
    logits = rows(HEAD_ROWS, head.stride());

    tokens = new int[maxRows];
    positions = new int[maxRows];
    slices = new Slice[maxRows];
    sliceRows = new int[maxRows];
    rowSlices = new int[maxRows];
    readout = new Readout(maxRows, config.vocabularySize());
    attentionSlices = new int[maxRows * config.kvHeads()];
    attentionRows = new int[maxRows * config.kvHeads()];
  }

  private static float[] rows(int rows, int width) {
    return new float[Math.multiplyExact(rows, width)];
  }

  long weightBytes() {
    final long tied = head == embedding ? 0 : head.bytes();
    return embedding.bytes() + tied + Arrays.stream(layers).mapToLong(PackedLayer::bytes).sum();
  }

  @Override
  public int[] tokens() {
    return tokens;
  }

  @Override
  public Readout readout() {
    return readout;
  }

  @Override
  public void run(final Batch batch) {
    describe(batch);
    pool.run(units(rows), (long) rows * config.hiddenSize(), embed);
    for (layerIndex = 0; layerIndex < layers.length; layerIndex++) {
      layer = layers[layerIndex];
      normalise(layer.attentionNorm(), layerIndex > 0);
      multiply(layer.queryKeyValue(), normed, rows, queryKeyValue);
      pool.run(units(rows), 4L * rows * layer.queryKeyValue().stride(), rotateAndStore);
      pool.run(attentionUnits, attentionWork(batch.slices()), attend);
      multiply(layer.output(), attended, rows, delta);
      if (layer.parallel()) {
        if (layer.feedForwardNorm().isPresent()) {
          normalise(layer.feedForwardNorm().get(), false);
        }
        pool.run(units(rows), (long) rows * config.hiddenSize(), add);
      } else {
        normalise(layer.feedForwardNorm().orElseThrow(), true);
      }
      multiply(layer.up(), normed, rows, up);
      pool.run(units(rows), 16L * rows * config.intermediateSize(), activate);
      multiply(layer.down(), activated, rows, delta);
    }
    normalise(finalNorm, true);
    for (headStart = 0; headStart < readout.rows(); headStart += HEAD_ROWS) {
      head(Math.min(HEAD_ROWS, readout.rows() - headStart));
    }
  }

  private void describe(final Batch batch) {
    final List<Slice> list = batch.slices();
    rows = 0;
    attentionUnits = 0;
    readout.begin(list);
    final int unitRows = Math.max(1, QUERIES * config.kvHeads() / config.heads());
    for (int s = 0; s < list.size(); s++) {
      final Slice slice = list.get(s);
      slices[s] = slice;
      sliceRows[s] = rows;
      for (int i = 0; i < slice.count(); i += unitRows) {
        for (int h = 0; h < config.kvHeads(); h++) {
          attentionSlices[attentionUnits] = s;
          attentionRows[attentionUnits++] = i;
        }
      }
      for (int i = 0; i < slice.count(); i++) {
        rowSlices[rows] = s;
        positions[rows++] = slice.start() + i;
      }
      rotary.reach(slice.end() - 1);
    }
  }

  private long attentionWork(final List<Slice> list) {
    long keys = 0;
    for (int s = 0; s < list.size(); s++) {
      keys += (long) slices[s].count() * slices[s].end();
    }
    return 2 * keys * config.queryWidth();
  }

  private static int units(int rows) {
    return (rows + ROWS - 1) / ROWS;
  }

  private void embed(final int unit, final int worker) {
    for (int row = unit * ROWS; row < Math.min(rows, (unit + 1) * ROWS); row++) {
      embedding.copyOutput(tokens[row], residual, row * config.hiddenSize());
    }
  }

  private void multiply(
      final PackedMatrix by, final float[] from, final int count, final float[] into) {
    matrix = by;
    input = from;
    inputRows = count;
    product = into;
    pool.run(by.groups(count), by.work() * count, multiply);
  }

  private void multiply(final int unit, final int worker) {
    matrix.multiply(unit, inputRows, input, product);
  }

  /** Adds the last projection to the residual stream, and normalises that for the next. */
  private void normalise(final Normalisation by, final boolean add) {
    norm = by;
    product = add ? delta : null;
    pool.run(units(rows), 4L * rows * config.hiddenSize(), addAndNormalise);
  }

  private void addAndNormalise(final int unit, final int worker) {
    final int hidden = config.hiddenSize();
    final int stride = layers[0].output().stride();
    for (int row = unit * ROWS; row < Math.min(rows, (unit + 1) * ROWS); row++) {
      final int at = row * hidden;
      if (product != null) {
        RowKernels.add(residual, at, product, row * stride, hidden);
      }
      norm.run(residual, at, normed, at, sums[worker]);
    }
  }

  private void add(final int unit, final int worker) {
    final int hidden = config.hiddenSize();
    final int stride = layers[0].output().stride();
    for (int row = unit * ROWS; row < Math.min(rows, (unit + 1) * ROWS); row++) {
      RowKernels.add(residual, row * hidden, delta, row * stride, hidden);
    }
  }

  private void rotateAndStore(final int unit, final int worker) {
    final int stride = layer.queryKeyValue().stride();
    final int dim = config.headDim();
    for (int row = unit * ROWS; row < Math.min(rows, (unit + 1) * ROWS); row++) {
      final int position = positions[row];
      final int block = slices[rowSlices[row]].blocks()[position / KvCache.BLOCK_TOKENS];
      final int slot = position % KvCache.BLOCK_TOKENS;
      final int from = row * stride;
      if (layer.headNorms().isPresent()) {
        normaliseHeads(layer.headNorms().get(), from, worker);
      }
      for (int h = 0; h < config.heads() + config.kvHeads(); h++) {
        rotary.rotate(queryKeyValue, from + h * dim, position);
      }
      for (int h = 0; h < config.kvHeads(); h++) {
        final int key = from + config.queryWidth() + h * dim;
        final int value = key + config.kvWidth();
        cache.write(layerIndex, block, h, slot, queryKeyValue, key, value);
      }
    }
  }

  private void normaliseHeads(final PackedLayer.HeadNorms norms, final int from, final int worker) {
    for (int h = 0; h < config.heads() + config.kvHeads(); h++) {
      final float[] weight = h < config.heads() ? norms.query() : norms.key();
      final int at = from + h * config.headDim();
      RowKernels.rmsNorm(
          queryKeyValue, at, weight, config.normEpsilon(), queryKeyValue, at, sums[worker]);
    }
  }

  private void attend(final int unit, final int worker) {
    final int s = attentionSlices[unit];
    final Slice slice = slices[s];
    final int first = attentionRows[unit];
    final int unitRows = Math.max(1, QUERIES * config.kvHeads() / config.heads());
    attention[worker].run(
        cache,
        layerIndex,
        unit % config.kvHeads(),
        layer.window(),
        slice.blocks(),
        slice.start() + first,
        sliceRows[s] + first,
        Math.min(unitRows, slice.count() - first),
        queryKeyValue,
        layer.queryKeyValue().stride(),
        attended);
  }

  private void activate(final int unit, final int worker) {
    final int stride = layer.up().stride();
    final int width = config.intermediateSize();
    for (int row = unit * ROWS; row < Math.min(rows, (unit + 1) * ROWS); row++) {
      if (layer.gated()) {
        RowKernels.siluMultiply(up, row * stride, activated, row * width, width);
      } else {
        RowKernels.gelu(up, row * stride, activated, row * width, width);
      }
    }
  }

  private void head(final int count) {
    final int hidden = config.hiddenSize();
    for (int i = 0; i < count; i++) {
      final int row = readout.row(headStart + i);
      System.arraycopy(normed, row * hidden, headInput, i * hidden, hidden);
    }
    multiply(head, headInput, count, logits);
    pool.run(count, 4L * count * config.vocabularySize(), useLogits);
  }

  private void useLogits(final int unit, final int worker) {
    readout.use(headStart + unit, logits, unit * head.stride(), samplers[worker]);
  }

  @Override
  public void close() {
    pool.close();
    arena.close();
  }
}
