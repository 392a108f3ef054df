package dev.sarathi.runtime.execute;

import dev.sarathi.runtime.model.ModelConfig;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Input;
import dev.sarathi.runtime.schedule.PromptScoring;
import dev.sarathi.runtime.schedule.SamplingRule;
import dev.sarathi.runtime.schedule.Slice;
import dev.sarathi.runtime.schedule.StepResult;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Optional;

/**
 * An executor that computes one batch at a time: {@link #submit} only takes it, {@link #await}
 * computes it, and therefore ignores the deadline. A batch with more rows than there are buffers
 * for is computed in parts.
 *
 * <p>Where a second batch may be in flight, {@code await} starts it before it returns, so that a
 * device computes it while the caller deals with the result of the first.
 *
 * <p>Threading: one thread calls every method.
 */
public abstract class PartwiseExecutor implements Executor {
  /** Batches whose sampled tokens a later batch may still refer to. */
  private static final int REMEMBERED = 8;

  private static final int FAILED = -1;

  private record Remembered(long batch, int[] tokens) {}

  private final ModelConfig config;
  private final Limits limits;
  private final int rowsAtATime;
  private final Forward forward;
  private final Remembered[] remembered = new Remembered[REMEMBERED];

  /** The oldest may be the one that runs. */
  private final Deque<Batch> submitted = new ArrayDeque<>();

  private Optional<Running> running = Optional.empty();
  private boolean broken;
  private boolean closed;

  /**
   * @param rowsAtATime positions for which {@code forward} has buffers
   * @param forward closed with this executor
   */
  protected PartwiseExecutor(
      final ModelConfig config, final Limits limits, final int rowsAtATime, final Forward forward) {
    this.config = config;
    this.limits = limits;
    this.rowsAtATime = rowsAtATime;
    this.forward = forward;
  }

  @Override
  public final Limits limits() {
    return limits;
  }

  /**
   * {@inheritDoc}
   *
   * <p>A batch from which a token is drawn that others depend on in more than its logits is not
   * followed by another: the sequence could not take part in it, and would fall behind.
   */
  @Override
  public final boolean accepts() {
    return !broken && !closed && (submitted.isEmpty() || acceptsBehind());
  }

  private boolean acceptsBehind() {
    return submitted.size() < limits.batchesInFlight()
        && submitted.stream().noneMatch(PartwiseExecutor::mustEndFirst);
  }

  private static boolean mustEndFirst(final Batch batch) {
    return batch.slices().stream()
        .flatMap(slice -> slice.sampling().stream())
        .anyMatch(
            plan ->
                plan.allowed().isPresent()
                    || !plan.rule().penalties().equals(SamplingRule.Penalties.NONE));
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalArgumentException if the batch does not fit this executor: a scheduler's mistake
   */
  @Override
  public final void submit(final Batch batch) {
    if (!accepts()) {
      throw new IllegalStateException("no batch can be taken: " + state());
    }
    check(batch);
    submitted.add(batch);
  }

  private String state() {
    return closed ? "closed" : broken ? "broken" : submitted.size() + " in flight";
  }

  @Override
  public final Optional<StepResult> await(final long deadline) {
    if (submitted.isEmpty()) {
      return Optional.empty();
    }
    try {
      final StepResult result = finish(running.orElseGet(() -> start(submitted.element())));
      submitted.remove();
      running = Optional.ofNullable(submitted.peek()).map(this::start);
      return Optional.of(result);
    } catch (RuntimeException | Error e) {
      broken = true;
      throw new ExecutorFailedException("batch " + submitted.element().id() + " failed", e);
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
        yield row >= 0 && row < slices(batch)
            ? ""
            : "row " + row + " of batch " + batch + ", which is not among the last " + REMEMBERED;
      }
    };
  }

  /** How many slices a batch has whose tokens may be referred to; 0 if they may not. */
  private int slices(final long batch) {
    return submitted.stream()
        .filter(b -> b.id() == batch)
        .findFirst()
        .map(b -> b.slices().size())
        .or(() -> find(batch).map(r -> r.tokens().length))
        .orElse(0);
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
      this(new int[slices], new ArrayList<>(slices), new ArrayList<>(), new ArrayList<>());
      Arrays.fill(tokens, FAILED);
    }
  }

  /**
   * @param slices at most {@link #rowsAtATime} rows of them
   * @param first the index, in the batch, of the slice that the part begins with
   */
  private record Part(List<Slice> slices, int first) {}

  /** A batch of which the first part has been begun with. */
  private record Running(Batch batch, long start, List<Part> parts, Outcome outcome) {}

  private Running start(final Batch batch) {
    final long start = now();
    final List<Part> parts = parts(batch.slices());
    run(batch, parts.getFirst());
    return new Running(batch, start, parts, new Outcome(batch.slices().size()));
  }

  /** A slice that is cut is computed like two chunks of a prompt. */
  private List<Part> parts(final List<Slice> slices) {
    final List<Part> parts = new ArrayList<>(1);
    int rows = rowsAtATime;
    for (int s = 0; s < slices.size(); s++) {
      final Slice slice = slices.get(s);
      for (int from = 0; from < slice.count(); ) {
        if (rows == rowsAtATime) {
          parts.add(new Part(new ArrayList<>(slices.size() - s), s));
          rows = 0;
        }
        final int count = Math.min(slice.count() - from, rowsAtATime - rows);
        parts.getLast().slices().add(cut(slice, from, count));
        rows += count;
        from += count;
      }
    }
    return parts;
  }

  private void run(final Batch batch, final Part part) {
    gatherTokens(part.slices());
    forward.run(batch.part(part.slices()));
  }

  private StepResult finish(final Running run) {
    final Batch batch = run.batch();
    final Outcome outcome = run.outcome();
    for (int i = 0; i < run.parts().size(); i++) {
      if (i > 0) {
        run(batch, run.parts().get(i));
      }
      forward.finish();
      collect(run.parts().get(i), outcome);
    }
    remembered[(int) Math.floorMod(batch.id(), (long) REMEMBERED)] =
        new Remembered(batch.id(), outcome.tokens);
    return new StepResult(
        batch.id(), run.start(), now(), outcome.sampled, outcome.scored, outcome.failed);
  }

  private void collect(final Part part, final Outcome outcome) {
    final Readout readout = forward.readout();
    for (int s = 0; s < part.slices().size(); s++) {
      final Slice slice = part.slices().get(s);
      final int index = s;
      final Optional<String> failure = missingToken(slice).or(() -> readout.failure(index));
      if (failure.isPresent()) {
        outcome.failed.add(new StepResult.Failure(slice.sequence(), failure.get()));
        continue;
      }
      if (slice.scoring().isPresent()) {
        outcome.scored.add(
            new StepResult.Scored(slice.sequence(), slice.start() + 1, readout.scored(s)));
      }
      if (slice.sampling().isPresent()) {
        final int token = readout.sampled(s);
        outcome.tokens[part.first() + s] = token;
        outcome.sampled.add(
            new StepResult.Sampled(
                slice.sequence(), token, readout.logprobs(s), readout.logits(s)));
      }
    }
  }

  /** Only the last piece of a slice samples. */
  private static Slice cut(final Slice slice, final int from, final int count) {
    if (count == slice.count()) {
      return slice;
    }
    final int to = from + count;
    final int[] ids = ((Input.Known) slice.input()).ids();
    return new Slice(
        slice.sequence(),
        slice.start() + from,
        count,
        new Input.Known(Arrays.copyOfRange(ids, from, to)),
        slice.blocks(),
        to == slice.count() ? slice.sampling() : Optional.empty(),
        slice.scoring().map(scoring -> cut(scoring, from, to)));
  }

  private static PromptScoring cut(final PromptScoring scoring, final int from, final int to) {
    final int[] targets = scoring.targets();
    return new PromptScoring(
        Arrays.copyOfRange(targets, Math.min(from, targets.length), Math.min(to, targets.length)),
        scoring.top());
  }

  /** Writes the ids of all rows; where there is none, the row is computed all the same. */
  private void gatherTokens(final List<Slice> slices) {
    int row = 0;
    for (final Slice slice : slices) {
      switch (slice.input()) {
        case Input.Known(int[] ids) ->
            System.arraycopy(ids, 0, forward.tokens(), row, slice.count());
        case Input.FromBatch(long from, int index) ->
            forward.tokens()[row] = Math.max(0, sampled(from, index));
      }
      row += slice.count();
    }
  }

  /** Why a slice has no token to begin with. */
  private Optional<String> missingToken(final Slice slice) {
    return slice.input() instanceof Input.FromBatch(long from, int index)
            && sampled(from, index) == FAILED
        ? Optional.of("row " + index + " of batch " + from + " has no token")
        : Optional.empty();
  }

  private int sampled(final long batch, final int row) {
    return find(batch).orElseThrow().tokens()[row];
  }

  private Optional<Remembered> find(final long batch) {
    final Remembered slot = remembered[(int) Math.floorMod(batch, (long) REMEMBERED)];
    return Optional.ofNullable(slot).filter(r -> r.batch() == batch);
  }

  @Override
  public final long now() {
    return System.nanoTime();
  }

  @Override
  public final void close() {
    if (closed) {
      return;
    }
    closed = true;
    submitted.clear();
    forward.close();
  }
}
