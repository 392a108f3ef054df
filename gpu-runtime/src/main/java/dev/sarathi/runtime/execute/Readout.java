package dev.sarathi.runtime.execute;

import dev.sarathi.runtime.schedule.Logprobs;
import dev.sarathi.runtime.schedule.SamplingPlan;
import dev.sarathi.runtime.schedule.SamplingRule;
import dev.sarathi.runtime.schedule.Slice;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * Which rows of a batch need logits, and what is made of them: tokens drawn, prompt tokens scored.
 *
 * <p>Threading: one thread calls {@link #begin}; afterwards different rows may be used at once.
 */
public final class Readout {
  /** Marks a row from which a token is drawn. */
  private static final int DRAWN = -1;

  private final int vocabularySize;

  // Of the rows that need logits: which of the batch, of which slice, and the token to score by
  // them, or DRAWN.
  private final int[] rows;
  private final int[] rowSlices;
  private final int[] targets;
  private int count;

  private final Slice[] slices;
  private final int[] firstRows;
  private final int[] sampled;
  private final String[] failures;
  private final float[][] logits;
  private final Logprobs[] logprobs;
  private final Logprobs[] scored;

  /**
   * @param maxRows of a batch
   * @param vocabularySize logits of a row
   */
  public Readout(final int maxRows, final int vocabularySize) {
    this.vocabularySize = vocabularySize;
    rows = new int[2 * maxRows];
    rowSlices = new int[2 * maxRows];
    targets = new int[2 * maxRows];
    slices = new Slice[maxRows];
    firstRows = new int[maxRows];
    sampled = new int[maxRows];
    failures = new String[maxRows];
    logits = new float[maxRows][];
    logprobs = new Logprobs[maxRows];
    scored = new Logprobs[maxRows];
  }

  /** Forgets the last batch and takes the next. */
  public void begin(final List<Slice> batch) {
    count = 0;
    int row = 0;
    for (int s = 0; s < batch.size(); s++) {
      final Slice slice = batch.get(s);
      slices[s] = slice;
      firstRows[s] = row;
      failures[s] = null;
      logits[s] = null;
      logprobs[s] = null;
      if (slice.scoring().isPresent()) {
        final int[] scoredTokens = slice.scoring().get().targets();
        for (int i = 0; i < scoredTokens.length; i++) {
          add(row + i, s, scoredTokens[i]);
        }
      }
      if (slice.sampling().isPresent()) {
        add(row + slice.count() - 1, s, DRAWN);
      }
      row += slice.count();
    }
  }

  private void add(final int row, final int slice, final int target) {
    rows[count] = row;
    rowSlices[count] = slice;
    targets[count++] = target;
  }

  /** How many rows need logits; one that is scored and drawn from counts twice. */
  public int rows() {
    return count;
  }

  /** The batch's row whose logits the one of this index needs. */
  public int row(final int index) {
    return rows[index];
  }

  /** Draws or scores by the logits of the row of this index. */
  public void use(final int index, final float[] values, final int offset, final Sampler sampler) {
    final int slice = rowSlices[index];
    try {
      if (targets[index] == DRAWN) {
        draw(slice, values, offset, slices[slice].sampling().orElseThrow(), sampler);
      } else {
        final int top = slices[slice].scoring().orElseThrow().top();
        scored[rows[index]] = sampler.score(values, offset, targets[index], top);
      }
    } catch (final ArithmeticException e) {
      failures[slice] = e.getMessage();
    }
  }

  /**
   * By which plan contenders are enough for the row of this index; empty if it needs all logits.
   */
  public Optional<SamplingPlan> contended(final int index) {
    return targets[index] == DRAWN
        ? slices[rowSlices[index]]
            .sampling()
            .filter(
                plan ->
                    !plan.rule().returnLogits()
                        && plan.rule().logprobs() == SamplingRule.NO_LOGPROBS
                        && Sampler.drawsFromContenders(plan))
        : Optional.empty();
  }

  /** Draws from the contenders of the row of this index. */
  public void use(final int index, final Contenders contenders, final Sampler sampler) {
    final int slice = rowSlices[index];
    sampled[slice] = sampler.sample(contenders, slices[slice].sampling().orElseThrow());
  }

  private void draw(
      final int slice,
      final float[] values,
      final int offset,
      final SamplingPlan plan,
      final Sampler sampler) {
    if (plan.rule().returnLogits()) {
      logits[slice] = Arrays.copyOfRange(values, offset, offset + vocabularySize);
    }
    sampled[slice] = sampler.sample(values, offset, plan);
    if (plan.rule().logprobs() != SamplingRule.NO_LOGPROBS) {
      logprobs[slice] = sampler.score(values, offset, sampled[slice], plan.rule().logprobs());
    }
  }

  /** Why the slice of this index could not draw a token. */
  public Optional<String> failure(final int slice) {
    return Optional.ofNullable(failures[slice]);
  }

  /** The token that the slice of this index drew, where it has not failed. */
  public int sampled(final int slice) {
    return sampled[slice];
  }

  /** The logits that the slice of this index asked for. */
  public Optional<float[]> logits(final int slice) {
    return Optional.ofNullable(logits[slice]);
  }

  /** How likely the token that the slice of this index drew is, if it asked. */
  public Optional<Logprobs> logprobs(final int slice) {
    return Optional.ofNullable(logprobs[slice]);
  }

  /**
   * How likely the tokens after the first positions of the slice of this index are, if it asked.
   */
  public List<Logprobs> scored(final int slice) {
    final int length = slices[slice].scoring().map(s -> s.targets().length).orElse(0);
    return List.of(Arrays.copyOfRange(scored, firstRows[slice], firstRows[slice] + length));
  }
}
