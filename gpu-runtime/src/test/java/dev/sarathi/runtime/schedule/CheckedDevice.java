package dev.sarathi.runtime.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * An executor that computes nothing but remembers what lies in every slot of its KV cache, and so
 * knows whether a slice finds its past there. First in, first out: what a batch writes is there for
 * all later ones, and for no earlier one.
 */
final class CheckedDevice {
  /** What was last written to a slot. */
  private record Slot(long sequence, int incarnation, int position) {}

  /** What was submitted of one sequence since it last had no blocks. */
  private record Progress(int incarnation, int end, int prefillEnd) {}

  private final int blockTokens;
  private final Slot[] cache;
  private final Deque<Batch> inFlight = new ArrayDeque<>();
  private final Map<Long, Progress> progress = new HashMap<>();

  CheckedDevice(final int blocks, final int blockTokens) {
    this.blockTokens = blockTokens;
    this.cache = new Slot[blocks * blockTokens];
  }

  /** The token that the model yields for a sequence at an output index. */
  static int token(final long sequence, final int outputIndex) {
    return (int) (1_000 * sequence + outputIndex);
  }

  int inFlight() {
    return inFlight.size();
  }

  /** Whether a slice recomputes what was known when its sequence got its blocks. */
  boolean isPrefill(final Slice slice) {
    return slice.start() < progress.get(slice.sequence()).prefillEnd();
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

  void submit(final Batch batch, final Map<Long, Sequence> sequences, final Workload workload) {
    assertThat(batch.slices()).extracting(Slice::sequence).doesNotHaveDuplicates();
    for (final Slice slice : batch.slices()) {
      final Sequence sequence = sequences.get(slice.sequence());
      final Workload.Request request = workload.requests().get((int) slice.sequence());
      follows(slice, sequence);
      asksForTheRightTokens(slice, request);
      final boolean samples = slice.end() >= progress.get(slice.sequence()).prefillEnd();
      assertThat(slice.sampling().map(SamplingPlan::outputIndex))
          .isEqualTo(samples ? Optional.of(slice.end() - request.prompt()) : Optional.empty());
      assertThat(slice.end()).isLessThan(request.length());
      compute(slice, sequence.incarnation());
    }
    inFlight.add(batch);
  }

  private void follows(final Slice slice, final Sequence sequence) {
    final int start = submitted(sequence).orElse(0);
    assertThat(slice.start()).as("%s", sequence).isEqualTo(start);
    assertThat(slice.count()).isPositive();
    final int prefillEnd =
        start == 0 ? sequence.length() : progress.get(slice.sequence()).prefillEnd();
    assertThat(slice.start() >= prefillEnd && slice.count() > 1).isFalse();
    progress.put(slice.sequence(), new Progress(sequence.incarnation(), slice.end(), prefillEnd));
  }

  private void asksForTheRightTokens(final Slice slice, final Workload.Request request) {
    switch (slice.input()) {
      case Input.Known(int[] ids) -> {
        assertThat(ids).hasSize(slice.count());
        for (int i = 0; i < ids.length; i++) {
          assertThat(ids[i])
              .isEqualTo(token(slice.sequence(), slice.start() + i - request.prompt()));
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

  private void compute(final Slice slice, final int incarnation) {
    for (int position = slice.start(); position < slice.end(); position++) {
      cache[slot(slice, position)] = new Slot(slice.sequence(), incarnation, position);
    }
    for (int position = 0; position < slice.end(); position++) {
      assertThat(cache[slot(slice, position)])
          .isEqualTo(new Slot(slice.sequence(), incarnation, position));
    }
  }

  private int slot(final Slice slice, final int position) {
    return slice.blocks()[position / blockTokens] * blockTokens + position % blockTokens;
  }

  /** The result of the oldest batch in flight. */
  StepResult complete() {
    final Batch batch = inFlight.remove();
    final List<StepResult.Sampled> sampled = new ArrayList<>();
    for (final Slice slice : batch.slices()) {
      slice
          .sampling()
          .ifPresent(
              plan ->
                  sampled.add(
                      new StepResult.Sampled(
                          slice.sequence(),
                          token(slice.sequence(), plan.outputIndex()),
                          Optional.empty())));
    }
    return new StepResult(batch.id(), 0, 0, sampled, List.of());
  }
}
