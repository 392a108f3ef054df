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
 * <p>More is not always faster: large chunks make the decodes beside them slow, which then hold
 * their places longer, and in a pipeline every stage waits for the longest batch in flight. From
 * the lengths of what has ended lately, the KV cache and the model follows the size with which the
 * highest load is borne.
 */
final class AdaptiveBudget implements PrefillBudget {
  private static final int TILE = IterationTimeModel.TILE;
  private static final int MOST_TILES = TokenBudget.Adaptive.MOST_TOKENS / TILE;

  /** How much of the model's error is kept away from the target, and at most. */
  private static final double CAUTION = 1.5;

  private static final double MOST_CAUTION = 0.2;

  /** Up to the load at which every other prompt waits longer, in seconds. */
  private static final double PATIENCE = 2;

  /** What a larger size must gain: the rates are not known more exactly. */
  private static final double GAIN = 0.03;

  private static final int BISECTIONS = 12;

  /** The decodes of bulk are to leave the other half of the target to prefill. */
  private static final double BULK_SHARE = 0.5;

  /** Beyond it what has ended counts half. */
  private static final double MEMORY = 500_000;

  private final long target;
  private final int stages;
  private final int maxSequences;
  private final long kvTokens;
  private final boolean chunksInFlight;
  private final IterationTimeModel model = new IterationTimeModel();
  private final Deque<BatchShape> inFlight = new ArrayDeque<>();

  /** When each stage is expected to have done all that is in flight. */
  private final long[] stageFree;

  private long lastEnd = Long.MIN_VALUE;
  private double ended;
  private double endedPrompts;
  private double endedAnswers;

  /** The positions that all their tokens had before them. */
  private double endedPromptContext;

  private double endedAnswerContext;

  /** What {@link #fastestTiles} has found, until something ends. */
  private int fastest = MOST_TILES;

  private boolean fastestIsKnown = true;

  /**
   * @param target for the time between two tokens, in nanoseconds
   * @param kvTokens that the KV cache holds
   */
  AdaptiveBudget(final long target, final Policy.Settings settings, final long kvTokens) {
    this.target = target;
    this.stages = settings.stages();
    this.maxSequences = settings.maxSequences();
    this.kvTokens = kvTokens;
    this.chunksInFlight = settings.overlap() != Overlap.NONE;
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
    final int most = Math.max(least, fastestTiles());
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

  /** The size with which the load is highest that both prompts and answers bear. */
  private int fastestTiles() {
    if (fastestIsKnown) {
      return fastest;
    }
    final double context = endedAnswerContext / endedAnswers;
    final int share = (int) Math.max(1, Math.min(maxSequences, kvTokens / context) / stages);
    final BatchShape decodes = new BatchShape(share, share, Math.round(share * context), 0);
    final double bare = model.millis(decodes);
    final double prompt = endedPrompts / ended;
    fastest = 1;
    double most = 0;
    for (int tiles = Math.ceilDiv(share + 1, TILE); tiles <= MOST_TILES; tiles++) {
      final int prefill = tiles * TILE - share;
      final double work = prefill * endedPromptContext / endedPrompts;
      final double millis = model.millis(decodes.withPrefill(prefill, work));
      final double rate =
          Math.min(
              borneByTheLine(prefill / prompt / millis, millis),
              borneByThePlaces(share, prefill, prompt, bare, millis));
      if (rate > most * (1 + GAIN)) {
        most = rate;
        fastest = tiles;
      }
    }
    fastestIsKnown = true;
    return fastest;
  }

  /**
   * The rate, a millisecond, at which the median prompt waits as long as is borne: of a queue with
   * random arrivals and service (M/M/1), where a share {@code r e^(-s (1 - r) t)} of all wait
   * longer than t, at a load of r times the rate of service s. Half of the iteration under way is
   * waited for in any case.
   */
  private static double borneByTheLine(final double served, final double millis) {
    final double patience = PATIENCE * 1_000 - millis / 2;
    double low = 0;
    double high = 1;
    for (int i = 0; i < BISECTIONS; i++) {
      final double load = (low + high) / 2;
      if (load * Math.exp(-served * (1 - load) * patience) <= 0.5) {
        low = load;
      } else {
        high = load;
      }
    }
    return low * served;
  }

  /**
   * The rate, a millisecond, at which prompts come as answers go with all places taken: the larger
   * the chunks, the fewer iterations have one.
   */
  private double borneByThePlaces(
      final int share,
      final int prefill,
      final double prompt,
      final double bare,
      final double millis) {
    final double busy = Math.min(1, share * endedPrompts / endedAnswers / prefill);
    // A batch of decodes alone is short only if those in the other stages are. Chunks of a prompt
    // that follow each other leave the others free of prefill; one by one they do not.
    final double starts = chunksInFlight ? Math.min(1, busy * prefill / prompt) : busy;
    final double allBare = (1 - busy) * Math.pow(1 - starts, stages - 1);
    return busy * prefill / prompt / (allBare * bare + (1 - allBare) * millis);
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
      endedPromptContext /= 2;
      endedAnswerContext /= 2;
    }
    final double answer = Math.max(1, sequence.generated());
    final double prompt = sequence.length() - sequence.generated();
    ended++;
    endedPrompts += prompt;
    endedAnswers += answer;
    endedPromptContext += prompt * prompt / 2;
    endedAnswerContext += answer * (prompt + answer / 2);
    fastestIsKnown = false;
  }
}
