package dev.sarathi.runtime.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.cache.BlockPool;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * An executor that computes nothing but remembers what lies in every slot of its KV cache, and so
 * knows whether a slice finds its past there: the very tokens up to each position, whoever computed
 * them. First in, first out: what a batch writes is there for all later ones, and for no earlier
 * one.
 */
final class CheckedDevice {
  /** What was submitted of one sequence since it last had no blocks. */
  private record Progress(int incarnation, int end, int prefillEnd) {}

  private final Workload workload;
  private final BlockPool pool;
  private final long[] cache;
  private final Deque<Batch> inFlight = new ArrayDeque<>();
  private final Deque<Map<Long, Integer>> incarnations = new ArrayDeque<>();
  private final Map<Long, Progress> progress = new HashMap<>();

  CheckedDevice(final Workload workload, final BlockPool pool) {
    this.workload = workload;
    this.pool = pool;
    this.cache = new long[pool.size() * pool.blockTokens()];
  }

  int inFlight() {
    return inFlight.size();
  }

  /** Whether a batch in flight has a slice of a sequence that still counts. */
  boolean isInFlight(final Sequence sequence) {
    return incarnations.stream()
        .anyMatch(members -> members.getOrDefault(sequence.id(), -1) == sequence.incarnation());
  }

  /** Whether a slice computes what was known when its sequence got its blocks. */
  boolean isPrefill(final Slice slice) {
    return slice.start() < prefillEnd(slice);
  }

  int prefillEnd(final Slice slice) {
    return progress.get(slice.sequence()).prefillEnd();
  }

  /** How far a sequence has been submitted in this incarnation; none before its first slice. */
  Optional<Integer> submitted(final Sequence sequence) {
    return Optional.ofNullable(progress.get(sequence.id()))
        .filter(p -> p.incarnation() == sequence.incarnation())
        .map(Progress::end);
  }

  /** Whether everything known has been submitted, so that only decodes are left. */
  boolean isDecoding(final Sequence sequence) {
    return submitted(sequence)
        .filter(end -> end >= progress.get(sequence.id()).prefillEnd())
        .isPresent();
  }

  void submit(final Batch batch, final Map<Long, Sequence> sequences) {
    assertThat(batch.slices()).extracting(Slice::sequence).doesNotHaveDuplicates();
    for (final Slice slice : batch.slices()) {
      final Sequence sequence = sequences.get(slice.sequence());
      final Workload.Request request = workload.requests().get((int) slice.sequence());
      follows(slice, sequence);
      switch (workload.pipeline().overlap()) {
        case NONE -> assertThat(isInFlight(sequence)).isFalse();
        case CHUNKS -> assertThat(isInFlight(sequence) && !isPrefill(slice)).isFalse();
        case ALL -> {}
      }
      asksForTheRightTokens(slice);
      final boolean samples = slice.end() >= prefillEnd(slice);
      assertThat(slice.sampling().map(SamplingPlan::outputIndex))
          .isEqualTo(samples ? Optional.of(slice.end() - request.prompt()) : Optional.empty());
      assertThat(slice.end()).isLessThan(request.length());
      assertThat(sequence.isPrefill(slice.start())).isEqualTo(isPrefill(slice));
      compute(slice);
    }
    inFlight.add(batch);
    incarnations.add(
        batch.slices().stream()
            .collect(
                Collectors.toMap(
                    Slice::sequence, slice -> sequences.get(slice.sequence()).incarnation())));
  }

  private void follows(final Slice slice, final Sequence sequence) {
    final Optional<Integer> submitted = submitted(sequence);
    final int prefillEnd = submitted.isEmpty() ? sequence.length() : prefillEnd(slice);
    assertThat(slice.start()).isEqualTo(submitted.orElseGet(() -> cached(slice)));
    assertThat(slice.count()).isPositive();
    assertThat(slice.start() >= prefillEnd && slice.count() > 1).isFalse();
    progress.put(slice.sequence(), new Progress(sequence.incarnation(), slice.end(), prefillEnd));
  }

  /** A sequence may begin after full blocks that others have computed, where it may look there. */
  private int cached(final Slice slice) {
    final Workload.Family family = workload.requests().get((int) slice.sequence()).family();
    if (slice.start() > 0) {
      assertThat(family.finds(workload.memory().prefixCache())).isTrue();
      assertThat(slice.start() % pool.blockTokens()).isZero();
    }
    return slice.start();
  }

  private void asksForTheRightTokens(final Slice slice) {
    switch (slice.input()) {
      case Input.Known(int[] ids) -> {
        assertThat(ids).hasSize(slice.count());
        for (int i = 0; i < ids.length; i++) {
          assertThat(ids[i]).isEqualTo(workload.token(slice.sequence(), slice.start() + i));
        }
      }
      case Input.FromBatch(long id, int row) -> {
        final Batch source =
            inFlight.stream().filter(batch -> batch.id() == id).findFirst().orElseThrow();
        final Slice sampling = source.slices().get(row);
        assertThat(sampling.sequence()).isEqualTo(slice.sequence());
        assertThat(sampling.end()).isEqualTo(slice.start());
        assertThat(sampling.sampling()).isPresent();
        assertThat(slice.count()).isOne();
      }
    }
  }

  private void compute(final Slice slice) {
    long history = 1;
    for (int position = 0; position < slice.end(); position++) {
      final int block = slice.blocks()[position / pool.blockTokens()];
      final int slot = block * pool.blockTokens() + position % pool.blockTokens();
      history = mix(history + workload.token(slice.sequence(), position));
      if (position >= slice.start()) {
        assertThat(pool.references(block)).as("sequences that hold what is written to").isOne();
        cache[slot] = history;
      }
      assertThat(cache[slot])
          .as("position %d of %s in block %d", position, slice, block)
          .isEqualTo(history);
    }
  }

  /** So that equal results mean equal tokens, in the same order. */
  private static long mix(final long value) {
    final long mixed = (value ^ value >>> 32) * 0xd6e8feb86659fd93L;
    return (mixed ^ mixed >>> 32) * 0xd6e8feb86659fd93L;
  }

  /** The result of the oldest batch in flight. */
  StepResult complete() {
    final Batch batch = inFlight.remove();
    incarnations.remove();
    final List<StepResult.Sampled> sampled = new ArrayList<>();
    for (final Slice slice : batch.slices()) {
      if (slice.sampling().isPresent()) {
        sampled.add(
            new StepResult.Sampled(
                slice.sequence(),
                workload.token(slice.sequence(), slice.end()),
                Optional.empty(),
                Optional.empty()));
      }
    }
    return new StepResult(
        batch.id(), batch.id(), batch.id() + took(batch), sampled, List.of(), List.of());
  }

  /** Nanoseconds that look like work, and now and then like none. */
  private static long took(final Batch batch) {
    return batch.id() % 7 == 0 ? 0 : 1_000_000 * (1 + batch.id() % 5 + batch.tokens());
  }
}
