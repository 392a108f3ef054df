package dev.sarathi.runtime.schedule;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.function.LongFunction;

/**
 * As much prefill beside the decodes as pays and as their slack allows, by a model of the
 * iterations' time that learns as they come. A decode's slack is what is left of the target since
 * its last token; in a pipeline the batch must be through all stages by then, and must leave the
 * decodes that come next room for as much.
 *
 * <p>More is not always faster: large chunks make each prefill cheaper and all decodes slower, so
 * that these hold their places longer. From the lengths of what has ended lately follows the size
 * at which prompts come as fast as answers go.
 */
final class AdaptiveBudget implements PrefillBudget {
  private static final int TILE = IterationTimeModel.TILE;
  private static final int MOST_TILES = TokenBudget.Adaptive.MOST_TOKENS / TILE;

  /** The share of iterations with prefill at a load that is high and still borne. */
  private static final double BUSY = 0.9;

  /** What a step to a larger size must gain for each stage beyond the first: bubbles grow. */
  private static final double BUBBLE = 0.05;

  /** How much of the model's error is kept away from the target, and at most. */
  private static final double CAUTION = 1.5;

  private static final double MOST_CAUTION = 0.2;

  /** The decodes of bulk are to leave the other half of the target to prefill. */
  private static final double BULK_SHARE = 0.5;

  /** Beyond it what has ended counts half. */
  private static final double MEMORY = 500_000;

  private final long target;
  private final int stages;
  private final int maxSequences;
  private final IterationTimeModel model = new IterationTimeModel();
  private final Deque<BatchShape> inFlight = new ArrayDeque<>();

  /** When each stage is expected to have done all that is in flight. */
  private final long[] stageFree;

  private long lastEnd = Long.MIN_VALUE;
  private double ended;
  private double endedPrompts;
  private double endedAnswers;

  /**
   * @param target for the time between two tokens, in nanoseconds
   */
  AdaptiveBudget(final long target, final int stages, final int maxSequences) {
    this.target = target;
    this.stages = stages;
    this.maxSequences = maxSequences;
    this.stageFree = new long[stages];
  }

  @Override
  public Allowance prefill(final int decodes, final LongFunction<Situation> situation) {
    if (!model.isFitted()) {
      return Allowance.beside(decodes, TokenBudget.DEFAULT_TOKENS);
    }
    final Situation now = situation.apply(target);
    final double caution = 1 + Math.min(MOST_CAUTION, CAUTION * model.error());
    final double slack = (now.oldestToken() + target - now.now()) / caution;
    final double even = evenNanos(now.now(), target / caution);
    // Whole tiles, decodes included; one at least, or prompts would starve.
    final int least = Math.ceilDiv(decodes + 1, TILE);
    final int most = Math.max(least, balancedTiles(now.decodes()));
    int best = least;
    double speed = 0;
    for (int tiles = least; tiles <= most; tiles++) {
      final int prefill = tiles * TILE - decodes;
      final double nanos = model.millis(now.with(prefill)) * 1e6;
      if (nanos > even || latency(now.now(), Math.round(nanos)) > slack) {
        break;
      }
      if (prefill / nanos >= speed) {
        speed = prefill / nanos;
        best = tiles;
      }
    }
    return Allowance.of(best * TILE - decodes);
  }

  /**
   * The time of a stage that leaves the decodes in flight, which come next, as much: their batch
   * enters when this one leaves the first stage, and is to be done within the target of their last
   * token. Without it long and short batches alternate, and the stages wait for each other.
   */
  private double evenNanos(final long now, final double nanos) {
    return stages == 1 || inFlight.isEmpty()
        ? Double.POSITIVE_INFINITY
        : (stageFree[stages - 1] - now + nanos) / (stages + 1);
  }

  /** From now to the end of a batch. */
  private long latency(final long now, final long stageNanos) {
    long end = now;
    for (final long free : stageFree) {
      end = Math.max(end, free) + stageNanos;
    }
    return end - now;
  }

  /** The size at which, with all places taken, most prompts come and most answers go. */
  private int balancedTiles(final BatchShape decodes) {
    if (ended == 0 || decodes.decodes() == 0) {
      return MOST_TILES;
    }
    final int share = Math.max(1, maxSequences / stages);
    final BatchShape full =
        new BatchShape(share, share, share * decodes.decodeContext() / decodes.decodes(), 0);
    final double bare = model.millis(full);
    final int start = (int) (endedPrompts / ended / 2);
    int best = 1;
    double most = 0;
    for (int tiles = Math.ceilDiv(share + 1, TILE); tiles <= MOST_TILES; tiles++) {
      final int prefill = tiles * TILE - share;
      final double millis = model.millis(full.withChunk(start, prefill));
      final double prompts = BUSY * prefill / millis / endedPrompts;
      final double answers = share / (BUSY * millis + (1 - BUSY) * bare) / endedAnswers;
      if (Math.min(prompts, answers) > most * (1 + BUBBLE * (stages - 1))) {
        most = Math.min(prompts, answers);
        best = tiles;
      }
    }
    return best;
  }

  @Override
  public boolean pausesBulk() {
    return true;
  }

  @Override
  public boolean admitsBulk(final BatchShape decodes) {
    return !model.isFitted() || model.millis(decodes) * 1e6 * stages < target * BULK_SHARE;
  }

  @Override
  public void submitted(final Batch batch, final long now) {
    final BatchShape shape = BatchShape.of(batch);
    inFlight.add(shape);
    final long nanos = Math.round(model.millis(shape) * 1e6);
    long end = now;
    for (int i = 0; i < stages; i++) {
      end = Math.max(end, stageFree[i]) + nanos;
      stageFree[i] = end;
    }
  }

  @Override
  public void completed(final StepResult result) {
    final BatchShape shape = inFlight.remove();
    // It has waited for the batch before it to leave the last stage, or for nobody.
    final long alone = (result.end() - result.start()) / stages;
    final long behind = lastEnd == Long.MIN_VALUE ? alone : result.end() - lastEnd;
    model.observe(shape, Math.min(alone, behind) / 1e6);
    lastEnd = result.end();
    if (inFlight.isEmpty()) {
      Arrays.fill(stageFree, result.end());
    }
  }

  @Override
  public void learn(final Batch batch, final long nanos) {
    model.observe(BatchShape.of(batch), nanos / 1e6 / stages);
  }

  @Override
  public void ended(final Sequence sequence) {
    if (endedAnswers > MEMORY) {
      ended /= 2;
      endedPrompts /= 2;
      endedAnswers /= 2;
    }
    ended++;
    endedPrompts += sequence.length() - sequence.generated();
    endedAnswers += Math.max(1, sequence.generated());
  }
}
