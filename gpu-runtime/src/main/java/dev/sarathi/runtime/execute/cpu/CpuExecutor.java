package dev.sarathi.runtime.execute.cpu;

import dev.sarathi.runtime.execute.Executor;
import dev.sarathi.runtime.execute.ExecutorFailedException;
import dev.sarathi.runtime.execute.Limits;
import dev.sarathi.runtime.model.Model;
import dev.sarathi.runtime.model.ModelConfig;
import dev.sarathi.runtime.model.Tensor;
import dev.sarathi.runtime.model.Weights;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Input;
import dev.sarathi.runtime.schedule.PromptScoring;
import dev.sarathi.runtime.schedule.Slice;
import dev.sarathi.runtime.schedule.StepResult;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs a model on this machine's processor with the Vector API. Results do not depend on the number
 * of threads, the vector width or the shape of a batch.
 *
 * <p>One batch is in flight: {@link #submit} only takes it, {@link #await} computes it on the
 * calling thread with the workers beside it, and therefore ignores the deadline.
 *
 * <p>Threading: one thread calls every method. Weights, keys and values lie outside the Java heap
 * and are freed by {@link #close()}.
 */
public final class CpuExecutor implements Executor {
  /** Positions in one KV block. */
  public static final int BLOCK_TOKENS = KvCache.BLOCK_TOKENS;

  private static final Logger LOG = LoggerFactory.getLogger(CpuExecutor.class);
  private static final String VECTOR_MODULE = "jdk.incubator.vector";

  /** Raised whenever a kernel changes a bit of a result. */
  private static final int NUMERICS_VERSION = 1;

  /** Batches whose sampled tokens a later batch may still refer to. */
  private static final int REMEMBERED = 8;

  private static final int FAILED = -1;

  private record Remembered(long batch, int[] tokens) {}

  private final ModelConfig config;
  private final Limits limits;
  private final int rowsAtATime;
  private final Arena arena;
  private final WorkerPool pool;
  private final ForwardPass forward;
  private final Remembered[] remembered = new Remembered[REMEMBERED];

  private Optional<Batch> submitted = Optional.empty();
  private boolean broken;
  private boolean closed;

  /** As below, with the weights as stored. */
  public CpuExecutor(
      final Model model, final int kvBlocks, final int rowsAtATime, final int threads) {
    this(model, kvBlocks, rowsAtATime, threads, WeightFormat.STORED);
  }

  /**
   * Copies the model's weights into the order that the kernels read; the model may be closed
   * afterwards.
   *
   * @param kvBlocks blocks of the KV cache, each of {@link #kvBytesPerBlock} bytes
   * @param rowsAtATime positions for which there are activation buffers; a batch with more is
   *     computed in parts
   * @param threads the calling thread and the workers beside it
   * @throws IllegalStateException if the JVM runs without the vector module
   * @throws IllegalArgumentException if a number is below 1
   * @throws dev.sarathi.runtime.model.ModelFormatException if a weight is not a finite number
   */
  public CpuExecutor(
      final Model model,
      final int kvBlocks,
      final int rowsAtATime,
      final int threads,
      final WeightFormat format) {
    requireVectorModule();
    requirePositive("KV blocks", kvBlocks);
    requirePositive("rows at a time", rowsAtATime);
    requirePositive("threads", threads);
    config = model.config();
    limits = new Limits(kvBlocks, KvCache.BLOCK_TOKENS, 1, numericsId(model.weights(), format));
    this.rowsAtATime = rowsAtATime;
    arena = Arena.ofShared();
    pool = new WorkerPool(threads);
    try {
      final KvCache cache = new KvCache(config, kvBlocks, arena);
      forward = new ForwardPass(model, cache, rowsAtATime, format, pool, arena);
    } catch (RuntimeException | Error e) {
      pool.close();
      arena.close();
      throw e;
    }
    LOG.info(
        "CPU executor: kernels {}, vectors of {} bits, {} threads, weights of {} bytes,"
            + " {} KV blocks of {} bytes",
        limits.numericsId(),
        Lanes.BITS,
        threads,
        weightBytes(),
        kvBlocks,
        kvBytesPerBlock(config));
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

  private static String numericsId(final Weights weights, final WeightFormat format) {
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
    return "cpu-" + NUMERICS_VERSION + "/" + String.join("+", types) + "/kv-f32";
  }

  private static String typeName(final Tensor tensor) {
    return tensor.dataType().name().toLowerCase(Locale.ROOT);
  }

  @Override
  public Limits limits() {
    return limits;
  }

  @Override
  public boolean accepts() {
    return submitted.isEmpty() && !broken && !closed;
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalArgumentException if the batch does not fit this executor: a scheduler's mistake
   */
  @Override
  public void submit(final Batch batch) {
    if (!accepts()) {
      throw new IllegalStateException("no batch can be taken: " + state());
    }
    check(batch);
    submitted = Optional.of(batch);
  }

  private String state() {
    return closed ? "closed" : broken ? "broken" : "one is in flight";
  }

  @Override
  public Optional<StepResult> await(final long deadline) {
    if (submitted.isEmpty()) {
      return Optional.empty();
    }
    final Batch batch = submitted.get();
    submitted = Optional.empty();
    try {
      return Optional.of(compute(batch));
    } catch (RuntimeException | Error e) {
      broken = true;
      throw new ExecutorFailedException("batch " + batch.id() + " failed", e);
    }
  }

  private void check(final Batch batch) {
    final List<Slice> slices = batch.slices();
    if (slices.isEmpty()) {
      throw new IllegalArgumentException(
          "batch " + batch.id() + " has no slices; at least 1 is needed");
    }
    for (Slice slice : slices) {
      final String problem = problem(slice);
      if (!problem.isEmpty()) {
        throw new IllegalArgumentException(
            "batch " + batch.id() + ", sequence " + slice.sequence() + ": " + problem);
      }
    }
  }

  private String problem(final Slice slice) {
    if (slice.count() < 1 || slice.start() < 0 || slice.end() > config.maxPositions()) {
      return "positions %d to %d; supported: 0 to %d"
          .formatted(slice.start(), slice.end(), config.maxPositions());
    }
    final int blocks = (slice.end() + limits.blockTokens() - 1) / limits.blockTokens();
    if (slice.blocks().length < blocks) {
      return slice.blocks().length + " blocks, of which its positions need " + blocks;
    }
    for (int i = 0; i < blocks; i++) {
      if (slice.blocks()[i] < 0 || slice.blocks()[i] >= limits.kvBlocks()) {
        return "block " + slice.blocks()[i] + "; supported: 0 to " + (limits.kvBlocks() - 1);
      }
    }
    if (slice.scoring().isPresent() && slice.scoring().get().targets().length > slice.count()) {
      return slice.scoring().get().targets().length + " positions to score";
    }
    return switch (slice.input()) {
      case Input.Known(int[] ids) -> problem(slice, ids);
      case Input.FromBatch(long batch, int row) -> {
        if (slice.count() != 1) {
          yield slice.count() + " positions from one sampled token";
        }
        yield find(batch).filter(r -> row >= 0 && row < r.tokens().length).isPresent()
            ? ""
            : "row " + row + " of batch " + batch + ", which is not among the last " + REMEMBERED;
      }
    };
  }

  private String problem(final Slice slice, final int[] ids) {
    if (ids.length != slice.count()) {
      return ids.length + " ids for " + slice.count() + " positions";
    }
    for (int id : ids) {
      if (id < 0 || id >= config.vocabularySize()) {
        return "token " + id + "; supported: 0 to " + (config.vocabularySize() - 1);
      }
    }
    return "";
  }

  /** What has become of a batch's slices so far; {@code tokens} has one for each of them. */
  private record Outcome(
      int[] tokens,
      List<StepResult.Sampled> sampled,
      List<StepResult.Scored> scored,
      List<StepResult.Failure> failed) {
    Outcome(final int slices) {
      this(new int[slices], new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
      Arrays.fill(tokens, FAILED);
    }
  }

  /** A run of a slice's positions that fits into one part of a batch. */
  private record Piece(int slice, int from, int count) {}

  /**
   * Computes a batch in parts of at most {@link #rowsAtATime} rows. A slice that is cut is computed
   * like two chunks of a prompt.
   */
  private StepResult compute(final Batch batch) {
    final long start = now();
    final Outcome outcome = new Outcome(batch.slices().size());
    List<Piece> part = new ArrayList<>();
    int rows = 0;
    for (int s = 0; s < batch.slices().size(); s++) {
      final int count = batch.slices().get(s).count();
      for (int from = 0; from < count; ) {
        final Piece piece = new Piece(s, from, Math.min(count - from, rowsAtATime - rows));
        part.add(piece);
        rows += piece.count();
        from += piece.count();
        if (rows == rowsAtATime) {
          compute(batch, part, outcome);
          part = new ArrayList<>();
          rows = 0;
        }
      }
    }
    if (rows > 0) {
      compute(batch, part, outcome);
    }
    remembered[(int) Math.floorMod(batch.id(), (long) REMEMBERED)] =
        new Remembered(batch.id(), outcome.tokens);
    return new StepResult(
        batch.id(), start, now(), outcome.sampled, outcome.scored, outcome.failed);
  }

  private void compute(final Batch batch, final List<Piece> part, final Outcome outcome) {
    final List<Slice> slices =
        part.stream().map(piece -> cut(batch.slices().get(piece.slice()), piece)).toList();
    final Map<Integer, String> failures = gatherTokens(slices);
    forward.run(batch.part(slices));
    for (int s = 0; s < slices.size(); s++) {
      final Slice slice = slices.get(s);
      final String failure = failures.getOrDefault(s, forward.failure(s));
      if (failure != null) {
        outcome.failed.add(new StepResult.Failure(slice.sequence(), failure));
        continue;
      }
      if (slice.scoring().isPresent()) {
        outcome.scored.add(
            new StepResult.Scored(slice.sequence(), slice.start() + 1, forward.scored(s)));
      }
      if (slice.sampling().isPresent()) {
        final int token = forward.sampled(s);
        outcome.tokens[part.get(s).slice()] = token;
        outcome.sampled.add(
            new StepResult.Sampled(
                slice.sequence(),
                token,
                Optional.ofNullable(forward.logprobs(s)),
                Optional.ofNullable(forward.logits(s))));
      }
    }
  }

  /** Only the last piece of a slice samples. */
  private static Slice cut(final Slice slice, final Piece piece) {
    if (piece.count() == slice.count()) {
      return slice;
    }
    final int to = piece.from() + piece.count();
    final int[] ids = ((Input.Known) slice.input()).ids();
    return new Slice(
        slice.sequence(),
        slice.start() + piece.from(),
        piece.count(),
        new Input.Known(Arrays.copyOfRange(ids, piece.from(), to)),
        slice.blocks(),
        to == slice.count() ? slice.sampling() : Optional.empty(),
        slice.scoring().map(scoring -> cut(scoring, piece.from(), to)));
  }

  private static PromptScoring cut(final PromptScoring scoring, final int from, final int to) {
    final int[] targets = scoring.targets();
    return new PromptScoring(
        Arrays.copyOfRange(targets, Math.min(from, targets.length), Math.min(to, targets.length)),
        scoring.top());
  }

  /**
   * Writes the ids of all rows.
   *
   * @return by slice, why it has no token to begin with; its rows are computed all the same
   */
  private Map<Integer, String> gatherTokens(final List<Slice> slices) {
    final Map<Integer, String> failures = new HashMap<>();
    int row = 0;
    for (int s = 0; s < slices.size(); s++) {
      final Slice slice = slices.get(s);
      switch (slice.input()) {
        case Input.Known(int[] ids) ->
            System.arraycopy(ids, 0, forward.tokens(), row, slice.count());
        case Input.FromBatch(long from, int index) -> {
          final int token = find(from).orElseThrow().tokens()[index];
          if (token == FAILED) {
            failures.put(s, "row " + index + " of batch " + from + " has no token");
          }
          forward.tokens()[row] = Math.max(token, 0);
        }
      }
      row += slice.count();
    }
    return failures;
  }

  private Optional<Remembered> find(final long batch) {
    final Remembered slot = remembered[(int) Math.floorMod(batch, (long) REMEMBERED)];
    return Optional.ofNullable(slot).filter(r -> r.batch() == batch);
  }

  @Override
  public long now() {
    return System.nanoTime();
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    submitted = Optional.empty();
    pool.close();
    arena.close();
  }
}
