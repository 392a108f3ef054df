package dev.sarathi.runtime.execute.cuda;

import dev.sarathi.runtime.execute.Forward;
import dev.sarathi.runtime.execute.Readout;
import dev.sarathi.runtime.execute.WeightFormat;
import dev.sarathi.runtime.execute.cuda.DeviceLayer.Norm;
import dev.sarathi.runtime.execute.cuda.Kernels.Rotation;
import dev.sarathi.runtime.model.Model;
import dev.sarathi.runtime.model.ModelConfig;
import dev.sarathi.runtime.model.Weights;
import dev.sarathi.runtime.schedule.Batch;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.function.LongToIntFunction;

/**
 * The transformer over a hybrid batch on the device: the rows of all slices, chunks and decodes
 * alike, go through each weight together, so that it is read once. The residual stream is of
 * floats, everything else between two kernels of bfloat16.
 *
 * <p>Threading: one thread at a time.
 */
final class CudaForward implements Forward {
  /** Enough spans of split items to give every processor work several times over. */
  private static final int PARTIALS_PER_PROCESSOR = 64;

  private final Driver driver;
  private final Kernels kernels;
  private final ModelConfig config;
  private final Heads heads;
  private final Readout readout;
  private final BatchPlan plan;
  private final CapturedLaunches captured;
  private final int[] tokens;

  private final DeviceMatrix embedding;
  private final OutputHead head;
  private final List<DeviceLayer> layers;
  private final long cosines;
  private final long sines;

  // Activations, a row for each position of the batch; strides are in elements.
  private final int hiddenStride;
  private final int queryKeyValueStride;
  private final int attendedStride;
  private final int upStride;
  private final int activatedStride;
  private final long residual;
  private final long normed;
  private final long queryKeyValue;
  private final long queries;
  private final long attended;
  private final long delta;
  private final long up;
  private final long activated;
  private final long partials;

  private final int kvBlocks;
  private final long cache;

  private MemorySegment hostPlan = MemorySegment.NULL;
  private long devicePlan;

  /**
   * Brings everything to the device; the model may be closed afterwards.
   *
   * @param maxRows for which there are buffers
   * @param contextLength the longest of a sequence
   * @param format of the projections; {@link WeightFormat#STORED} is bfloat16
   * @param capturing whether launches of decodes are captured; changes no bit
   * @param kvBlocks how many KV blocks to take, given the bytes that are free when all else is
   *     there
   */
  CudaForward(
      final Driver driver,
      final Model model,
      final int maxRows,
      final int contextLength,
      final WeightFormat format,
      final boolean capturing,
      final LongToIntFunction kvBlocks) {
    this.driver = driver;
    kernels = new Kernels(driver);
    config = model.config();
    heads = Heads.of(config);
    readout = new Readout(maxRows, config.vocabularySize());
    tokens = new int[maxRows];

    final WeightUpload upload = new WeightUpload(driver, model, format);
    final Weights weights = model.weights();
    embedding = upload.embedding(weights.embedding());
    final DeviceMatrix output = config.tiedEmbeddings() ? embedding : upload.matrix(weights.head());
    head = new OutputHead(driver, kernels, config, output, upload.norm(weights.finalNorm()));
    layers = weights.layers().stream().map(layer -> DeviceLayer.load(layer, upload)).toList();
    final RotaryAngles angles = RotaryAngles.of(config, contextLength);
    cosines = upload.vector(angles.cosines());
    sines = upload.vector(angles.sines());

    final DeviceLayer first = layers.getFirst();
    hiddenStride = DeviceMatrix.padded(config.hiddenSize());
    queryKeyValueStride = DeviceMatrix.padded(first.queryKeyValue().outputs());
    attendedStride = DeviceMatrix.padded(config.queryWidth());
    upStride = DeviceMatrix.padded(first.up().outputs());
    activatedStride = DeviceMatrix.padded(config.intermediateSize());
    residual = buffer(4, maxRows, config.hiddenSize());
    normed = buffer(2, maxRows, hiddenStride);
    queryKeyValue = buffer(2, maxRows, queryKeyValueStride);
    queries = buffer(2, maxRows, config.heads() * heads.paddedDim());
    attended = buffer(2, maxRows, attendedStride);
    delta = buffer(2, maxRows, hiddenStride);
    up = buffer(2, maxRows, upStride);
    activated = buffer(2, maxRows, activatedStride);
    final int maxPartials =
        Math.max(1, PARTIALS_PER_PROCESSOR * driver.device().processors() / heads.keyValue());
    partials = driver.allocate(maxPartials * heads.partialBytes());
    plan = new BatchPlan(heads, maxRows, maxPartials, capturing);
    captured = new CapturedLaunches(driver);

    this.kvBlocks = kvBlocks.applyAsInt(driver.freeMemory());
    final long bytes =
        Math.multiplyExact(heads.blockBytes() * config.layers(), (long) this.kvBlocks);
    cache = driver.allocate(bytes);
    // Where a head's dimensions are padded, nobody writes the padding.
    driver.fillWithZeros(cache, bytes);
    driver.synchronize();
  }

  /** Zeroed: what pads a row stays zero. */
  private long buffer(final int elementBytes, final int rows, final int stride) {
    final long bytes = (long) elementBytes * rows * stride;
    final long address = driver.allocate(bytes);
    driver.fillWithZeros(address, bytes);
    return address;
  }

  static long kvBytesPerBlock(final ModelConfig config) {
    return Heads.of(config).blockBytes() * config.layers();
  }

  int kvBlocks() {
    return kvBlocks;
  }

  long weightBytes() {
    final long untied = head.matrix() == embedding ? 0 : head.matrix().bytes();
    return embedding.bytes() + untied + layers.stream().mapToLong(DeviceLayer::bytes).sum();
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
    driver.attach();
    readout.begin(batch.slices());
    plan.plan(batch.slices(), tokens, readout);
    uploadPlan();
    plan.shape().ifPresentOrElse(shape -> captured.run(shape, this::layers), this::layers);
    head.begin(results(), readout);
  }

  @Override
  public void finish() {
    head.finish(results(), readout);
    driver.synchronize();
  }

  private OutputHead.Source results() {
    return new OutputHead.Source(
        residual, delta, hiddenStride, planned(plan.selected()), planned(plan.draws()));
  }

  private void uploadPlan() {
    final long bytes = 4L * plan.length();
    if (hostPlan.byteSize() < bytes) {
      if (devicePlan != 0) {
        driver.synchronize();
        captured.clear();
        driver.free(devicePlan);
      }
      hostPlan = driver.hostMemory(2 * bytes);
      devicePlan = driver.allocate(2 * bytes);
    }
    MemorySegment.copy(plan.values(), 0, hostPlan, ValueLayout.JAVA_INT, 0, plan.length());
    driver.upload(hostPlan.asSlice(0, bytes), devicePlan);
  }

  private long planned(final int offset) {
    return devicePlan + 4L * offset;
  }

  /** All that a batch's shape determines, where it has one: what varies lies in device memory. */
  private void layers() {
    final int rows = plan.rows();
    kernels.embed(devicePlan, embedding, residual, config.hiddenSize(), rows);
    for (int i = 0; i < layers.size(); i++) {
      layer(i, rows);
    }
  }

  private void layer(final int index, final int rows) {
    final DeviceLayer layer = layers.get(index);
    normalise(layer.attentionNorm(), index > 0, rows);
    kernels.multiply(normed, layer.queryKeyValue(), queryKeyValue, queryKeyValueStride, rows);
    attention(layer, cache + index * heads.blockBytes() * kvBlocks, rows);
    kernels.multiply(attended, layer.output(), delta, hiddenStride, rows);
    if (layer.parallel()) {
      layer.feedForwardNorm().ifPresent(norm -> normalise(norm, false, rows));
      kernels.add(residual, delta, hiddenStride, config.hiddenSize(), rows);
    } else {
      normalise(layer.feedForwardNorm().orElseThrow(), true, rows);
    }
    kernels.multiply(normed, layer.up(), up, upStride, rows);
    kernels.activate(
        layer.gated(), up, upStride, activated, activatedStride, config.intermediateSize(), rows);
    kernels.multiply(activated, layer.down(), delta, hiddenStride, rows);
  }

  /** Adds the last projection to the residual stream if asked to, and normalises that. */
  private void normalise(final Norm norm, final boolean add, final int rows) {
    kernels.normalise(
        residual,
        add ? delta : 0,
        hiddenStride,
        0,
        config.hiddenSize(),
        norm,
        config.normEpsilon(),
        normed,
        hiddenStride,
        rows);
  }

  private void attention(final DeviceLayer layer, final long layerCache, final int rows) {
    kernels.rotateAndStore(
        queryKeyValue,
        queryKeyValueStride,
        new Rotation(planned(plan.positions()), planned(plan.slots()), cosines, sines),
        layer.headNorms(),
        config.normEpsilon(),
        heads,
        queries,
        layerCache,
        rows);
    if (plan.manyItems() > 0) {
      attend(4, plan.manyItems(), plan.many(), layer, layerCache);
    }
    if (plan.fewItems() > 0) {
      attend(1, plan.fewItems(), plan.few(), layer, layerCache);
    }
    if (plan.splitItems() > 0) {
      kernels.mergeSpans(
          plan.splitItems(), partials, planned(plan.split()), heads, attended, attendedStride);
    }
  }

  private void attend(
      final int warps,
      final int items,
      final int offset,
      final DeviceLayer layer,
      final long layerCache) {
    kernels.attend(
        warps,
        items,
        queries,
        layerCache,
        planned(plan.table()),
        planned(offset),
        heads,
        layer.window(),
        attended,
        attendedStride,
        partials);
  }

  @Override
  public void close() {
    driver.close();
  }
}
