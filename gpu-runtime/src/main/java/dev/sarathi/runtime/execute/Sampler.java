package dev.sarathi.runtime.execute;

import dev.sarathi.runtime.schedule.Logprobs;
import dev.sarathi.runtime.schedule.SamplingPlan;
import dev.sarathi.runtime.schedule.SamplingRule;
import java.util.Arrays;

/**
 * Chooses a token from a row of logits: bias, then penalties, mask, temperature, min-p, top-k,
 * top-p, then the largest of log-probability plus Gumbel noise. A pure function of the row and the
 * plan, in double arithmetic and with {@link StrictMath}, so that every machine draws the same
 * token; it is what the kernels of other executors are measured against.
 *
 * <p>Threading: holds scratch memory, so one thread at a time.
 */
public final class Sampler {
  /** Log-probabilities this far below the best weigh nothing in top-p. */
  private static final double NEGLIGIBLE = -40;

  /** From this temperature to its reciprocal, a float's race comes close to the sampler's own. */
  private static final float COLDEST = 0x1p-20f;

  private final int[] counter = new int[4];
  private final Race race = new Race();
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
   * @throws ArithmeticException if no token can be drawn: a logit is NaN or infinite, all that are
   *     allowed are minus infinity, or the plan's numbers are out of their ranges
   */
  public int sample(final float[] logits, final int offset, final SamplingPlan plan) {
    final SamplingRule rule = plan.rule();
    final boolean penalised = !rule.penalties().equals(SamplingRule.Penalties.NONE);
    if (!penalised && rule.bias().tokens().length == 0 && plan.allowed().isEmpty()) {
      return draw(logits, offset, plan);
    }
    if (adjusted.length == 0) {
      adjusted = new float[heap.length];
    }
    System.arraycopy(logits, offset, adjusted, 0, heap.length);
    final SamplingRule.LogitBias bias = rule.bias();
    for (int i = 0; i < bias.tokens().length; i++) {
      adjusted[bias.tokens()[i]] += bias.values()[i];
    }
    if (penalised) {
      penalise(rule.penalties(), plan.history());
    }
    if (plan.allowed().isPresent()) {
      mask(plan.allowed().get());
    }
    return draw(adjusted, 0, plan);
  }

  /** Whether {@link Contenders} can be had by this plan, which then draws from them alone. */
  public static boolean drawsFromContenders(final SamplingPlan plan) {
    final SamplingRule rule = plan.rule();
    final boolean plain =
        rule.penalties().equals(SamplingRule.Penalties.NONE)
            && rule.bias().tokens().length == 0
            && plan.allowed().isEmpty();
    final boolean temperate =
        rule.temperature() >= COLDEST && rule.temperature() <= 1 / COLDEST && isValid(rule);
    return plain && (rule.temperature() == 0 || temperate);
  }

  /**
   * Draws the token that {@link #sample(float[], int, SamplingPlan)} would from the whole row.
   *
   * @param plan one that {@linkplain #drawsFromContenders draws from contenders}
   */
  public int sample(final Contenders contenders, final SamplingPlan plan) {
    final int[] tokens = contenders.tokens();
    final float[] logits = contenders.logits();
    if (plan.rule().temperature() == 0) {
      return tokens[0];
    }
    race.begin(logits[0], tokens[0], plan);
    for (int i = 1; i < tokens.length; i++) {
      race.enter(tokens[i], logits[i]);
    }
    return race.winner;
  }

  /** What is not allowed becomes impossible. */
  private void mask(final long[] allowed) {
    boolean any = false;
    for (int word = 0; word < allowed.length; word++) {
      final int first = word << 6;
      final int end = Math.min(first + 64, heap.length);
      if (allowed[word] == 0) {
        Arrays.fill(adjusted, first, end, Float.NEGATIVE_INFINITY);
        continue;
      }
      any = true;
      for (int token = first; token < end; token++) {
        if ((allowed[word] >>> token & 1) == 0) {
          adjusted[token] = Float.NEGATIVE_INFINITY;
        }
      }
    }
    if (!any) {
      throw new ArithmeticException(
          "the constraint allows no token: too many of its alternatives begin alike");
    }
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
    if (!isValid(rule)) {
      throw new ArithmeticException("no token can be drawn with " + rule);
    }
    final boolean all =
        (rule.topK() == 0 || rule.topK() >= heap.length) && rule.topP() == 1 && rule.minP() == 0;
    race.begin(logits[offset + best], best, plan);
    if (all) {
      for (int token = 0; token < heap.length; token++) {
        race.enter(token, logits[offset + token]);
      }
    } else {
      final int count = likeliest(rule, logits, offset);
      for (int i = 1; i <= count; i++) {
        final int token = (int) heap[heap.length - i];
        race.enter(token, logits[offset + token]);
      }
    }
    return race.winner;
  }

  /** Of a rule that is not greedy. */
  private static boolean isValid(final SamplingRule rule) {
    return rule.temperature() > 0
        && rule.minP() >= 0
        && rule.minP() <= 1
        && rule.topK() >= 0
        && rule.topP() >= 0
        && rule.topP() <= 1;
  }

  /** The least weight that min-p keeps, of which the likeliest token's is 0. */
  public static double leastWeight(final SamplingRule rule) {
    return rule.minP() > 0 ? StrictMath.log(rule.minP()) : Double.NEGATIVE_INFINITY;
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
    private float max;
    private SamplingPlan plan = SamplingPlan.first(SamplingRule.GREEDY);
    private int winner;
    private double best;

    void begin(final float max, final int likeliest, final SamplingPlan plan) {
      this.max = max;
      this.plan = plan;
      this.winner = likeliest;
      this.best = gumbel(random(likeliest));
    }

    /** Log-probability up to a constant: 0 for the likeliest token. */
    double weight(final float logit) {
      return ((double) logit - max) / plan.rule().temperature();
    }

    void enter(final int token, final float logit) {
      final double weight = weight(logit);
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
  private int likeliest(final SamplingRule rule, final float[] logits, final int offset) {
    heapSize = heap.length;
    double total = 0;
    for (int token = 0; token < heap.length; token++) {
      final float logit = logits[offset + token];
      heap[token] = key(logit, token);
      total += exp(race.weight(logit));
    }
    heapify();
    int limit = rule.topK() == 0 ? heap.length : Math.min(rule.topK(), heap.length);
    final boolean popped = limit < heap.length || rule.minP() > 0;
    if (popped) {
      final double least = leastWeight(rule);
      total = 0;
      int kept = 0;
      while (kept < limit && race.weight(logits[offset + (int) heap[0]]) >= least) {
        total += exp(race.weight(logits[offset + pop()]));
        kept++;
      }
      limit = kept;
    }
    int count = 0;
    for (double reached = 0; count < limit && (count == 0 || reached < rule.topP() * total); ) {
      final int token = popped ? (int) heap[heap.length - 1 - count] : pop();
      reached += exp(race.weight(logits[offset + token]));
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
