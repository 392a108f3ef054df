package dev.sarathi.runtime.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.cache.BlockPool;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Drives a scheduler through a workload as the engine does, and checks every batch. */
final class Simulation {
  private static final Comparator<Sequence> BY_RANK =
      Comparator.comparingLong(Sequence::rank).thenComparingLong(Sequence::id);

  private final Workload workload;
  private final BlockPool pool;
  private final StallFree scheduler;
  private final CheckedDevice device;
  private final Random random;
  private final Map<Long, Sequence> sequences = new HashMap<>();
  private final Map<Long, Sequence> live = new TreeMap<>();
  private final Map<Long, Integer> heldUntil = new HashMap<>();
  private final Set<Long> finished = new HashSet<>();
  private final Set<Long> cancelled = new HashSet<>();
  private int step;

  Simulation(final Workload workload) {
    this.workload = workload;
    this.pool = new BlockPool(workload.blocks(), workload.blockTokens());
    this.scheduler = new StallFree(pool, workload.tokenBudget(), workload.maxSequences());
    this.device = new CheckedDevice(workload.blocks(), workload.blockTokens());
    this.random = new Random(workload.seed());
  }

  /** Runs until every request has ended. */
  Simulation run() {
    while (finished.size() + cancelled.size() < workload.requests().size()) {
      arrive();
      cancel();
      hold();
      if (device.inFlight() == workload.depth() || random.nextInt(4) == 0 || !submit()) {
        complete();
      }
      step++;
      assertThat(step).as("steps of a workload that should end").isLessThan(20_000);
    }
    while (device.inFlight() > 0) {
      complete();
    }
    assertThat(pool.free()).isEqualTo(pool.size());
    assertThat(scheduler.load())
        .isEqualTo(new Scheduler.Load(0, 0, scheduler.load().preemptions(), pool.size()));
    return this;
  }

  long preemptions() {
    return scheduler.load().preemptions();
  }

  private void arrive() {
    for (int id = 0; id < workload.requests().size(); id++) {
      final Workload.Request request = workload.requests().get(id);
      if (request.arrival() == step) {
        final Sequence sequence = sequence(id, request);
        sequences.put(sequence.id(), sequence);
        live.put(sequence.id(), sequence);
        scheduler.add(sequence);
      }
    }
  }

  private static Sequence sequence(final int id, final Workload.Request request) {
    return new Sequence(
        id,
        request.arrival() - request.age(),
        IntStream.range(-request.prompt(), 0).map(i -> CheckedDevice.token(id, i)).toArray(),
        IntStream.range(0, request.generated()).map(i -> CheckedDevice.token(id, i)).toArray(),
        request.maxGenerated(),
        SamplingPlan.greedy(0, false));
  }

  private void cancel() {
    for (final Sequence sequence : List.copyOf(live.values())) {
      final Workload.Request request = workload.requests().get((int) sequence.id());
      if (step >= request.cancelAt()) {
        cancelled.add(sequence.id());
        remove(sequence);
      }
    }
  }

  private void remove(final Sequence sequence) {
    live.remove(sequence.id());
    scheduler.remove(sequence.id());
  }

  private void hold() {
    for (final Sequence sequence : live.values()) {
      if (random.nextInt(60) == 0) {
        heldUntil.put(sequence.id(), step + random.nextInt(40));
      }
      sequence.hold(heldUntil.getOrDefault(sequence.id(), 0) > step);
    }
  }

  private boolean submit() {
    final List<Sequence> before = scheduler.running();
    final Map<Long, Integer> incarnations =
        before.stream().collect(Collectors.toMap(Sequence::id, Sequence::incarnation));
    final List<Sequence> decodes =
        before.stream().filter(s -> !s.isHeld() && device.isDecoding(s) && hasMore(s)).toList();

    final Batch batch = scheduler.next(step).orElse(new Batch(-1, List.of()));

    device.submit(batch, sequences, workload);
    final List<Sequence> preempted =
        before.stream().filter(s -> s.incarnation() != incarnations.get(s.id())).toList();
    servesEveryDecode(batch, decodes, preempted);
    keepsTheBudget(batch);
    preemptsTheYoungest(before, preempted);
    overtakesNobody(before, preempted);
    sharesNoBlock();
    assertThat(batch.slices()).noneMatch(slice -> sequences.get(slice.sequence()).isHeld());
    assertThat(scheduler.running()).hasSizeLessThanOrEqualTo(workload.maxSequences());
    return !batch.slices().isEmpty();
  }

  private boolean hasMore(final Sequence sequence) {
    return device.submitted(sequence).orElseThrow() + 1
        < workload.requests().get((int) sequence.id()).length();
  }

  private void servesEveryDecode(
      final Batch batch, final List<Sequence> decodes, final List<Sequence> preempted) {
    final Set<Long> served =
        batch.slices().stream().map(Slice::sequence).collect(Collectors.toSet());
    for (final Sequence decode : decodes) {
      final boolean waitsForItsTokens =
          pool.free() == 0 && device.inFlight() > 1 && decode == scheduler.running().getLast();
      assertThat(served.contains(decode.id()) || preempted.contains(decode) || waitsForItsTokens)
          .as("%s is in %s", decode, batch)
          .isTrue();
    }
  }

  private void keepsTheBudget(final Batch batch) {
    final Map<Boolean, Integer> tokens =
        batch.slices().stream()
            .collect(
                Collectors.partitioningBy(device::isPrefill, Collectors.summingInt(Slice::count)));
    assertThat(tokens.get(true))
        .isLessThanOrEqualTo(Math.max(0, workload.tokenBudget() - tokens.get(false)));
  }

  private void preemptsTheYoungest(final List<Sequence> before, final List<Sequence> preempted) {
    assertThat(before.subList(before.size() - preempted.size(), before.size()))
        .isEqualTo(preempted);
  }

  private void overtakesNobody(final List<Sequence> before, final List<Sequence> preempted) {
    final Set<Sequence> waiting = new HashSet<>(live.values());
    waiting.removeIf(s -> scheduler.isRunning(s) || s.isHeld());
    scheduler.running().stream()
        .filter(s -> !before.contains(s) || preempted.contains(s))
        .forEach(admitted -> assertThat(waiting).noneMatch(s -> BY_RANK.compare(s, admitted) < 0));
  }

  private void sharesNoBlock() {
    final Set<Integer> taken = new HashSet<>();
    for (final Sequence sequence : scheduler.running()) {
      for (final int block : sequence.blocks().blocks()) {
        assertThat(taken.add(block)).isTrue();
      }
    }
    assertThat(taken).hasSize(pool.size() - pool.free());
  }

  private void complete() {
    if (device.inFlight() == 0) {
      return;
    }
    for (final StepResult.Sampled sampled : scheduler.completed(device.complete())) {
      final Sequence sequence = live.get(sampled.sequence());
      assertThat(sampled.token())
          .isEqualTo(CheckedDevice.token(sequence.id(), sequence.generated() - 1));
      if (sequence.generated() == workload.requests().get((int) sequence.id()).maxGenerated()) {
        assertThat(finished.add(sequence.id())).isTrue();
        remove(sequence);
      }
    }
  }
}
