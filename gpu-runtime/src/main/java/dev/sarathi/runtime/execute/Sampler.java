package dev.sarathi.runtime.execute;

import dev.sarathi.runtime.schedule.Logprobs;
import dev.sarathi.runtime.schedule.SamplingPlan;
import dev.sarathi.runtime.schedule.SamplingRule;
import java.util.Arrays;

/**
 * Chooses a token from a row of logits: bias, then penalties, temperature, min-p, top-k, top-p,
 * then the largest of log-probability plus Gumbel noise. A pure function of the row and the plan,
 * in double arithmetic and with {@link StrictMath}, so that every machine draws the same token; it
 * is what the kernels of other executors are measured against.
 *
 * <p>Threading: holds scratch memory, so one thread at a time.
 */
public final class Sampler {
  /** Log-probabilities this far below the best weigh nothing in top-p. */
  private static final double NEGLIGIBLE = -40;

  private final int[] counter = new int[4];
  private final long[] heap;
  private int heapSize;

  // Made when first needed: most requests have neither bias nor penalties.
  private float[] adjusted = {};
  private int[] outputCounts = {};

  /**
   * @param vocabularySize the length of a row
   */
  public Sampler(final int vocabularySize) {
    heap = new long[vocabularySize];
  }

  /**
   * The token that the plan draws from {@code logits[offset]} onwards. Logits of minus infinity are
   * never drawn.
   *
   * @throws ArithmeticException if no token can be drawn: a logit is NaN or infinite, all are minus
   *     infinity, or the plan's numbers are out of their ranges
   */
  public int sample(final float[] logits, final int offset, final SamplingPlan plan) {
    final SamplingRule rule = plan.rule();
    final boolean penalised = !rule.penalties().equals(SamplingRule.Penalties.NONE);
    if (!penalised && rule.bias().tokens().length == 0) {
      return draw(logits, offset, plan);
    }
    adjusted = Arrays.copyOfRange(logits, offset, offset + heap.length);
    final SamplingRule.LogitBias bias = rule.bias();
    for (int i = 0; i < bias.tokens().length; i++) {
      adjusted[bias.tokens()[i]] += bias.values()[i];
    }
    if (penalised) {
      penalise(rule.penalties(), plan.history());
    }
    return draw(adjusted, 0, plan);
  }

  /** Each token is penalised where it is met first, and its count is cleared behind it. */
  private void penalise(
      final SamplingRule.Penalties penalties, final SamplingPlan.History history) {
    if (outputCounts.length == 0) {
      outputCounts = new int[heap.length];
    }
    final int[] tokens = history.tokens();
    // Counts of output tokens are kept one too high, so that 0 says: dealt with.
    for (int i = 0; i < history.length(); i++) {
      outputCounts[tokens[i]] = 1;
    }
    for (int i = history.promptLength(); i < history.length(); i++) {
      outputCounts[tokens[i]]++;
    }
    for (int i = 0; i < history.length(); i++) {
      final int token = tokens[i];
      final int count = outputCounts[token] - 1;
      if (count >= 0) {
        float logit = adjusted[token];
        logit = logit > 0 ? logit / penalties.repetition() : logit * penalties.repetition();
        logit -= penalties.frequency() * count;
        adjusted[token] = count > 0 ? logit - penalties.presence() : logit;
        outputCounts[token] = 0;
      }
    }
  }

  private int draw(final float[] logits, final int offset, final SamplingPlan plan) {
    final SamplingRule rule = plan.rule();
    final int best = argmax(logits, offset);
    if (rule.temperature() == 0) {
      return best;
    }
    if (!(rule.temperature() > 0
        && rule.minP() >= 0
        && rule.minP() <= 1
        && rule.topK() >= 0
        && rule.topP() >= 0
        && rule.topP() <= 1)) {
      throw new ArithmeticException("no token can be drawn with " + rule);
    }
    final boolean all =
        (rule.topK() == 0 || rule.topK() >= heap.length) && rule.topP() == 1 && rule.minP() == 0;
    final Race race = new Race(logits, offset, best, plan);
    if (all) {
      for (int token = 0; token < heap.length; token++) {
        race.enter(token);
      }
    } else {
      final int count = likeliest(race);
      for (int i = 1; i <= count; i++) {
        race.enter((int) heap[heap.length - i]);
      }
    }
    return race.winner;
  }

  /**
   * How likely the row holds {@code token} to be, and the likeliest tokens. Not for a row of which
   * {@link #sample} throws.
   *
   * @param top how many of the likeliest
   */
  public Logprobs score(final float[] logits, final int offset, final int token, final int top) {
    final double max = logits[offset + argmax(logits, offset)];
    double total = 0;
    heapSize = heap.length;
    for (int i = 0; i < heap.length; i++) {
      final float logit = logits[offset + i];
      heap[i] = key(logit, i);
      total += exp(logit - max);
    }
    heapify();
    final double normaliser = max + StrictMath.log(total);
    final int[] topTokens = new int[Math.min(top, heap.length)];
    final float[] topLogprobs = new float[topTokens.length];
    for (int i = 0; i < topTokens.length; i++) {
      topTokens[i] = pop();
      topLogprobs[i] = (float) (logits[offset + topTokens[i]] - normaliser);
    }
    return new Logprobs(
        token, (float) (logits[offset + token] - normaliser), topTokens, topLogprobs);
  }

  private int argmax(final float[] logits, final int offset) {
    int best = 0;
    float max = Float.NEGATIVE_INFINITY;
    for (int token = 0; token < heap.length; token++) {
      final float logit = logits[offset + token];
      if (!(logit < Float.POSITIVE_INFINITY)) {
        throw new ArithmeticException("the logit of token " + token + " is " + logit);
      }
      if (logit > max) {
        max = logit;
        best = token;
      }
    }
    if (max == Float.NEGATIVE_INFINITY) {
      throw new ArithmeticException("the logits of all tokens are -Infinity");
    }
    return best;
  }

  /** The tokens entered so far and the one that leads. */
  private final class Race {
    private final float[] logits;
    private final int offset;
    private final float max;
    private final SamplingPlan plan;
    private int winner;
    private double best;

    Race(final float[] logits, final int offset, final int likeliest, final SamplingPlan plan) {
      this.logits = logits;
      this.offset = offset;
      this.max = logits[offset + likeliest];
      this.plan = plan;
      this.winner = likeliest;
      this.best = gumbel(random(likeliest));
    }

    /** Log-probability up to a constant: 0 for the likeliest token. */
    double weight(final int token) {
      return ((double) logits[offset + token] - max) / plan.rule().temperature();
    }

    void enter(final int token) {
      final double weight = weight(token);
      final double lead = best - weight;
      // Noise above `lead` has probability 1 - exp(-exp(-lead)) < exp(-lead) < 2^-(1.44 lead):
      // nearly always one comparison with a power of two spares both logarithms.
      final int power = (int) Math.max(0, Math.min(64, lead * 1.44));
      if (power > 32) {
        return;
      }
      final int random = random(token);
      if (Integer.toUnsignedLong(~random) >= 1L << 32 - power) {
        return;
      }
      final double score = weight + gumbel(random);
      if (score > best || score == best && token < winner) {
        best = score;
        winner = token;
      }
    }

    private int random(final int token) {
      counter[0] = token;
      counter[1] = plan.outputIndex();
      counter[2] = plan.rule().choice();
      counter[3] = 0;
      Philox.apply(counter, plan.rule().seed());
      return counter[0];
    }
  }

  /** Standard Gumbel noise from 32 random bits. */
  private static double gumbel(final int random) {
    final double uniform = (Integer.toUnsignedLong(random) + 0.5) * 0x1p-32;
    return -StrictMath.log(-StrictMath.log(uniform));
  }

  /**
   * Leaves the tokens that min-p, top-k and top-p keep at the end of the heap's array, the
   * likeliest last.
   *
   * @return how many
   */
  private int likeliest(final Race race) {
    final SamplingRule rule = race.plan.rule();
    heapSize = heap.length;
    double total = 0;
    for (int token = 0; token < heap.length; token++) {
      heap[token] = key(race.logits[race.offset + token], token);
      total += exp(race.weight(token));
    }
    heapify();
    int limit = rule.topK() == 0 ? heap.length : Math.min(rule.topK(), heap.length);
    final boolean popped = limit < heap.length || rule.minP() > 0;
    if (popped) {
      final double least = rule.minP() > 0 ? StrictMath.log(rule.minP()) : Double.NEGATIVE_INFINITY;
      total = 0;
      int kept = 0;
      while (kept < limit && race.weight((int) heap[0]) >= least) {
        total += exp(race.weight(pop()));
        kept++;
      }
      limit = kept;
    }
    int count = 0;
    for (double reached = 0; count < limit && (count == 0 || reached < rule.topP() * total); ) {
      final int token = popped ? (int) heap[heap.length - 1 - count] : pop();
      reached += exp(race.weight(token));
      count++;
    }
    return count;
  }

  private static double exp(final double weight) {
    return weight < NEGLIGIBLE ? 0 : StrictMath.exp(weight);
  }

  /** Orders by falling logit, then by rising id. */
  private static long key(float logit, int token) {
    final int bits = Float.floatToRawIntBits(logit + 0f); // no negative zero
    final int rising = bits ^ (bits >> 31 & Integer.MAX_VALUE);
    return (long) ~rising << 32 | token;
  }

  private void heapify() {
    for (int i = heapSize / 2 - 1; i >= 0; i--) {
      sink(i);
    }
  }

  /** Moves the likeliest token from the heap to the slot that it vacates at the end. */
  private int pop() {
    final long top = heap[0];
    heapSize--;
    heap[0] = heap[heapSize];
    heap[heapSize] = top;
    sink(0);
    return (int) top;
  }

  private void sink(int i) {
    final long key = heap[i];
    for (int child = 2 * i + 1; child < heapSize; child = 2 * i + 1) {
      if (child + 1 < heapSize && heap[child + 1] < heap[child]) {
        child++;
      }
      if (heap[child] >= key) {
        break;
      }
      heap[i] = heap[child];
      i = child;
    }
    heap[i] = key;
  }
}
