package dev.sarathi.runtime.execute;

import dev.sarathi.runtime.schedule.SamplingPlan;

/**
 * Chooses a token from a row of logits: temperature, then top-k, then top-p, then the largest of
 * log-probability plus Gumbel noise. A pure function of the row and the plan, in double arithmetic
 * and with {@link StrictMath}, so that every machine draws the same token; it is what the kernels
 * of other executors are measured against.
 *
 * <p>Threading: holds scratch memory, so one thread at a time.
 */
public final class Sampler {
  /** Log-probabilities this far below the best weigh nothing in top-p. */
  private static final double NEGLIGIBLE = -40;

  private final int[] counter = new int[4];
  private final long[] heap;
  private int heapSize;

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
    final int best = argmax(logits, offset);
    if (plan.temperature() == 0) {
      return best;
    }
    if (!(plan.temperature() > 0 && plan.topK() >= 0 && plan.topP() >= 0 && plan.topP() <= 1)) {
      throw new ArithmeticException("no token can be drawn with " + plan);
    }
    final boolean all = (plan.topK() == 0 || plan.topK() >= heap.length) && plan.topP() == 1;
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
      return ((double) logits[offset + token] - max) / plan.temperature();
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
      counter[2] = plan.choice();
      counter[3] = 0;
      Philox.apply(counter, plan.seed());
      return counter[0];
    }
  }

  /** Standard Gumbel noise from 32 random bits. */
  private static double gumbel(final int random) {
    final double uniform = (Integer.toUnsignedLong(random) + 0.5) * 0x1p-32;
    return -StrictMath.log(-StrictMath.log(uniform));
  }

  /**
   * Leaves the tokens that top-k and top-p keep at the end of the heap's array, the likeliest last.
   *
   * @return how many
   */
  private int likeliest(final Race race) {
    final SamplingPlan plan = race.plan;
    heapSize = heap.length;
    double total = 0;
    for (int token = 0; token < heap.length; token++) {
      heap[token] = key(race.logits[race.offset + token], token);
      total += probability(race, token);
    }
    for (int i = heapSize / 2 - 1; i >= 0; i--) {
      sink(i);
    }
    final int limit = plan.topK() == 0 ? heap.length : Math.min(plan.topK(), heap.length);
    if (limit < heap.length) {
      total = 0;
      for (int i = 0; i < limit; i++) {
        total += probability(race, pop());
      }
    }
    int count = 0;
    for (double reached = 0; count < limit && (count == 0 || reached < plan.topP() * total); ) {
      final int token = limit < heap.length ? (int) heap[heap.length - 1 - count] : pop();
      reached += probability(race, token);
      count++;
    }
    return count;
  }

  private static double probability(Race race, int token) {
    final double weight = race.weight(token);
    return weight < NEGLIGIBLE ? 0 : StrictMath.exp(weight);
  }

  /** Orders by falling logit, then by rising id. */
  private static long key(float logit, int token) {
    final int bits = Float.floatToRawIntBits(logit + 0f); // no negative zero
    final int rising = bits ^ (bits >> 31 & Integer.MAX_VALUE);
    return (long) ~rising << 32 | token;
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
