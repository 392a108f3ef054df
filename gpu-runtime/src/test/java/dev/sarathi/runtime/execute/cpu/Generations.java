package dev.sarathi.runtime.execute.cpu;

import dev.sarathi.runtime.execute.Executor;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Input;
import dev.sarathi.runtime.schedule.SamplingPlan;
import dev.sarathi.runtime.schedule.SamplingRule;
import dev.sarathi.runtime.schedule.Slice;
import dev.sarathi.runtime.schedule.StepResult;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;

/** Drives an executor by hand: decodes of some sequences beside prefill chunks of others. */
public final class Generations {
  private final Executor executor;
  private final List<Integer> freeBlocks;
  private final List<Running> running = new ArrayList<>();
  private long nextBatch;

  /** One sequence, and what came of it. */
  public static final class Running {
    final long id;
    final int[] prompt;
    final int[] blocks;
    final int wanted;
    final SamplingRule rule;
    final List<Integer> tokens = new ArrayList<>();
    public final List<float[]> logits = new ArrayList<>();
    int computed;

    private Running(
        final long id,
        final int[] prompt,
        final int[] blocks,
        final int wanted,
        final SamplingRule rule) {
      this.id = id;
      this.prompt = prompt;
      this.blocks = blocks;
      this.wanted = wanted;
      this.rule = rule;
    }

    public int[] generated() {
      return tokens.stream().mapToInt(Integer::intValue).toArray();
    }
  }

  /** Blocks are handed out in an order shuffled by the seed. */
  public Generations(final Executor executor, final long seed) {
    this.executor = executor;
    freeBlocks = new ArrayList<>(IntStream.range(0, executor.limits().kvBlocks()).boxed().toList());
    Collections.shuffle(freeBlocks, new Random(seed));
  }

  public Running add(final int[] prompt, final int wanted) {
    return add(prompt, wanted, SamplingRule.GREEDY.withReturnLogits(true));
  }

  public Running add(final int[] prompt, final int wanted, final SamplingRule rule) {
    final int blockTokens = executor.limits().blockTokens();
    final int[] blocks = new int[(prompt.length + wanted + blockTokens - 1) / blockTokens];
    Arrays.setAll(blocks, i -> freeBlocks.removeLast());
    final Running sequence = new Running(running.size(), prompt, blocks, wanted, rule);
    running.add(sequence);
    return sequence;
  }

  /** Computes one batch: every decode, and prefill chunks until the budget is spent. */
  public boolean step(final int budget) {
    final List<Slice> slices = new ArrayList<>();
    for (Running s : running) {
      if (s.computed >= s.prompt.length && s.tokens.size() < s.wanted) {
        slices.add(slice(s, new int[] {s.tokens.getLast()}, true));
      }
    }
    int left = budget - slices.size();
    for (Running s : running) {
      final int chunk = Math.min(left, s.prompt.length - s.computed);
      if (chunk > 0) {
        final int[] ids = Arrays.copyOfRange(s.prompt, s.computed, s.computed + chunk);
        slices.add(slice(s, ids, s.computed + chunk == s.prompt.length));
        left -= chunk;
      }
    }
    if (slices.isEmpty()) {
      return false;
    }
    executor.submit(new Batch(nextBatch++, slices));
    final StepResult result = executor.await(Long.MAX_VALUE).orElseThrow();
    slices.forEach(slice -> running.get((int) slice.sequence()).computed += slice.count());
    for (StepResult.Sampled sampled : result.sampled()) {
      final Running s = running.get((int) sampled.sequence());
      s.tokens.add(sampled.token());
      sampled.logits().ifPresent(s.logits::add);
    }
    return true;
  }

  /** Steps until every sequence has its tokens. */
  public List<Running> finish(final int budget) {
    boolean more = true;
    while (more) {
      more = step(budget);
    }
    return running;
  }

  private static Slice slice(final Running s, final int[] ids, final boolean sample) {
    final SamplingPlan plan = new SamplingPlan(s.rule, s.tokens.size(), SamplingPlan.History.NONE);
    return new Slice(
        s.id,
        s.computed,
        ids.length,
        new Input.Known(ids),
        s.blocks,
        sample ? Optional.of(plan) : Optional.empty(),
        Optional.empty());
  }
}
