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

  /** Rates as near to each other as this count as equal: they are not known more exactly. */
  private static final double NEAR = 0.02;

  private static final int BISECTIONS = 12;

  /** Of a fixed point: what runs decides how long it runs. */
  private static final int ROUNDS = 4;

  /** The decodes of bulk are to leave the other half of the target to prefill. */
  private static final double BULK_SHARE = 0.5;

  /** The share of all that have ended which must be new before their lengths are asked again. */
  private static final double SAME = 0.02;

  /** Beyond it what has ended counts half. */
  private static final double MEMORY = 500_000;

  private final long target;
  private final int stages;
  private final int maxSequences;
  private final long kvTokens;
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

  /** What {@link #fastestTiles} has found last. */
  private int fastest = MOST_TILES;

  /** How many have ended since {@link #fastest} was found. */
  private int endedSince;

  /**
   * @param target for the time between two tokens, in nanoseconds
   * @param kvTokens that the KV cache holds
   */
  AdaptiveBudget(final long target, final Policy.Settings settings, final long kvTokens) {
    this.target = target;
    this.stages = settings.stages();
    this.maxSequences = settings.maxSequences();
    this.kvTokens = kvTokens;
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

  /** The smallest size with which about the highest rate of requests is borne. */
  private int fastestTiles() {
    if (endedSince <= ended * SAME) {
      return fastest;
    }
    endedSince = 0;
    final Load load = new Load();
    final double[] rates = new double[MOST_TILES + 1];
    double most = 0;
    for (int tiles = 1; tiles <= MOST_TILES; tiles++) {
      rates[tiles] = load.borne(tiles * TILE);
      most = Math.max(most, rates[tiles]);
    }
    fastest = 1;
    while (rates[fastest] * (1 + NEAR) < most) {
      fastest++;
    }
    return fastest;
  }

  /** Requests like those that have ended lately, in a steady state. Rates are a millisecond's. */
  private final class Load {
    private final double prompt = endedPrompts / ended;
    private final double answer = endedAnswers / ended;
    private final double context = endedAnswerContext / endedAnswers;
    private final double workPerToken = endedPromptContext / endedPrompts;

    /** Decodes of a batch when all places are taken. */
    private final double places = Math.max(1, Math.min(maxSequences, kvTokens / context) / stages);

    /** The highest rate that batches of so many tokens bear. */
    double borne(final int tokens) {
      double low = 0;
      double high = tokens / prompt / batchMillis(0, tokens);
      for (int i = 0; i < BISECTIONS; i++) {
        final double rate = (low + high) / 2;
        if (isBorne(rate, tokens)) {
          low = rate;
        } else {
          high = rate;
        }
      }
      return low;
    }

    /**
     * Whether there are places for all, and the median prompt does not wait for longer than is
     * borne: of a queue with random arrivals and service (M/M/1), where a share {@code r e^(-s (1 -
     * r) t)} of all wait longer than t, at a load of r times the rate of service s. Half of the
     * iteration under way is waited for in any case.
     */
    private boolean isBorne(final double rate, final int tokens) {
      double decodes = 0;
      double withPrefill = batchMillis(0, tokens);
      for (int i = 0; i < ROUNDS; i++) {
        final double prefill = tokens - decodes;
        final double bare = batchMillis(decodes, 0);
        // Of all batches so many have prefill. One of decodes alone is short only if those in the
        // other stages are.
        final double perMilli = rate * prompt / prefill;
        double mean = withPrefill;
        double busy = Math.min(1, perMilli * mean);
        for (int j = 0; j < ROUNDS; j++) {
          mean = withPrefill - Math.pow(1 - busy, stages) * (withPrefill - bare);
          busy = Math.min(1, perMilli * mean);
        }
        decodes = rate * answer * mean;
        if (decodes > places || decodes >= tokens) {
          return false;
        }
        withPrefill = batchMillis(decodes, tokens - decodes);
      }
      final double service = (tokens - decodes) / prompt / withPrefill;
      final double patience = PATIENCE * 1_000 - withPrefill / 2;
      return rate < service && rate / service * Math.exp((rate - service) * patience) <= 0.5;
    }

    private double batchMillis(final double decodes, final double prefill) {
      final int sequences = (int) Math.round(decodes);
      final BatchShape alone =
          new BatchShape(sequences, sequences, Math.round(sequences * context), 0);
      return model.millis(
          prefill > 0
              ? alone.withPrefill((int) Math.round(prefill), prefill * workPerToken)
              : alone);
    }
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
    endedSince++;
  }
}
