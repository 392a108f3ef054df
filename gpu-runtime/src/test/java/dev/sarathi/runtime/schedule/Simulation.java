package dev.sarathi.runtime.schedule;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.cache.BlockPool;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Drives a scheduler through a workload as the engine does, and checks every batch. */
final class Simulation {
  private final Workload workload;
  private final BlockPool pool;
  private final IterationScheduler scheduler;
  private final CheckedDevice device;
  private final Random random;
  private final Map<Long, Sequence> sequences = new HashMap<>();
  private final Map<Long, Sequence> live = new TreeMap<>();
  private final Map<Long, Integer> heldUntil = new HashMap<>();
  private final Map<Long, Integer> yielded = new HashMap<>();
  private final Set<Long> finished = new HashSet<>();
  private final Set<Long> cancelled = new HashSet<>();
  private boolean lastWasPrefill;
  private int step;

  Simulation(final Workload workload) {
    this.workload = workload;
    this.pool = workload.pool();
    this.scheduler = workload.scheduler(pool);
    this.device = new CheckedDevice(workload, pool);
    this.random = new Random(workload.seed());
  }

  /** Runs until every request has ended. */
  Simulation run() {
    while (finished.size() + cancelled.size() < workload.requests().size()) {
      arrive();
      cancel();
      hold();
      if (device.inFlight() == workload.pipeline().depth() || random.nextInt(4) == 0 || !submit()) {
        complete();
      }
      step++;
      assertThat(step).as("steps of a workload that should end").isLessThan(20_000);
    }
    while (device.inFlight() > 0) {
      complete();
    }
    assertThat(scheduler.load())
        .isEqualTo(new Scheduler.Load(0, 0, scheduler.load().preemptions(), pool.size()));
    assertThat(pool.load().used()).isZero();
    assertThat(workload.memory().prefixCache() || pool.load().cached() == 0).isTrue();
    return this;
  }

  long preemptions() {
    return scheduler.load().preemptions();
  }

  BlockPool.Load blocks() {
    return pool.load();
  }

  private void arrive() {
    for (int id = 0; id < workload.requests().size(); id++) {
      if (workload.requests().get(id).arrival() == step) {
        final Sequence sequence = workload.sequence(id);
        sequences.put(sequence.id(), sequence);
        live.put(sequence.id(), sequence);
        scheduler.add(sequence);
      }
    }
  }

  private void cancel() {
    for (final Sequence sequence : List.copyOf(live.values())) {
      if (step >= request(sequence).cancelAt()) {
        cancelled.add(sequence.id());
        remove(sequence);
      }
    }
  }

  private Workload.Request request(final Sequence sequence) {
    return workload.requests().get((int) sequence.id());
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
    final List<Sequence> before = List.copyOf(scheduler.running());
    final Map<Long, Integer> incarnations =
        before.stream().collect(Collectors.toMap(Sequence::id, Sequence::incarnation));
    final List<Sequence> decodes =
        before.stream()
            .filter(s -> !s.isHeld() && device.isDecoding(s) && hasMore(s))
            .filter(s -> workload.pipeline().overlap() == Overlap.ALL || !device.isInFlight(s))
            .toList();

    final Batch batch = scheduler.next(step).orElse(new Batch(-1, List.of()));

    if (!batch.slices().isEmpty()) {
      device.submit(batch, sequences);
    }
    final List<Sequence> preempted =
        before.stream().filter(s -> s.incarnation() != incarnations.get(s.id())).toList();
    final List<Slice> prefills = batch.slices().stream().filter(device::isPrefill).toList();
    keepsItsPolicy(batch, prefills, before, unserved(batch, decodes, preempted));
    leavesNobodyOutWithoutReason(batch, preempted);
    preemptsTheYoungest(before, preempted);
    overtakesNobodyOfItsTenant(before, preempted);
    keepsTheCaps();
    accountsForEveryBlock();
    assertThat(batch.slices()).noneMatch(slice -> sequences.get(slice.sequence()).isHeld());
    assertThat(scheduler.running()).hasSizeLessThanOrEqualTo(workload.maxSequences());
    return !batch.slices().isEmpty();
  }

  private boolean hasMore(final Sequence sequence) {
    return device.submitted(sequence).orElseThrow() + 1 < request(sequence).length();
  }

  /** The decodes that were left out, but for the youngest where it awaits its tokens. */
  private List<Sequence> unserved(
      final Batch batch, final List<Sequence> decodes, final List<Sequence> preempted) {
    final Set<Long> served =
        batch.slices().stream().map(Slice::sequence).collect(Collectors.toSet());
    return decodes.stream()
        .filter(decode -> !served.contains(decode.id()) && !preempted.contains(decode))
        .filter(
            decode ->
                pool.free() > 0
                    || !decode.hasTokensInFlight()
                    || decode != scheduler.running().getLast())
        .toList();
  }

  private void keepsItsPolicy(
      final Batch batch,
      final List<Slice> prefills,
      final List<Sequence> before,
      final List<Sequence> unserved) {
    final int decodes = batch.slices().size() - prefills.size();
    final int tokens = prefills.stream().mapToInt(Slice::count).sum();
    switch (workload.policy()) {
      case STALL_FREE -> {
        // Auto pauses the decodes of bulk while somebody else's prompt is prefilled.
        assertThat(unserved)
            .allMatch(s -> s.isBulk(step) && workload.budget() instanceof TokenBudget.Adaptive);
        assertThat(tokens).isLessThanOrEqualTo(Math.max(0, workload.tokenBudget() - decodes));
      }
      case HYBRID_ONLY -> {
        assertThat(unserved).isEmpty();
        assertThat(tokens).isLessThanOrEqualTo(Math.max(0, workload.contextLength() - decodes));
      }
      case CHUNKED_ONLY -> {
        assertThat(prefills.isEmpty() || decodes == 0).isTrue();
        assertThat(tokens).isLessThanOrEqualTo(workload.tokenBudget());
        if (lastWasPrefill || prefills.isEmpty()) {
          assertThat(unserved).isEmpty();
        }
      }
      case PREFILL_FIRST -> {
        assertThat(prefills.isEmpty() || decodes == 0).isTrue();
        assertThat(tokens).isLessThanOrEqualTo(workload.contextLength());
        assertThat(prefills).allMatch(slice -> slice.end() == device.prefillEnd(slice));
        if (prefills.isEmpty()) {
          assertThat(unserved).isEmpty();
        }
      }
      case MIXED -> {
        assertThat(unserved).isEmpty();
        assertThat(prefills).allMatch(slice -> slice.end() == device.prefillEnd(slice));
        assertThat(scheduler.load().preemptions()).isZero();
      }
      case DECODE_FIRST -> {
        assertThat(before.isEmpty() || prefills.isEmpty()).isTrue();
        assertThat(unserved).isEmpty();
        assertThat(prefills).allMatch(slice -> slice.end() == device.prefillEnd(slice));
        assertThat(scheduler.load().preemptions()).isZero();
      }
    }
    if (!batch.slices().isEmpty()) {
      lastWasPrefill = !prefills.isEmpty();
    }
  }

  /** Where there is budget left, of the tenants' first at least one has no room. */
  private void leavesNobodyOutWithoutReason(final Batch batch, final List<Sequence> preempted) {
    final int budget =
        switch (workload.policy()) {
          case STALL_FREE -> workload.tokenBudget();
          case HYBRID_ONLY -> workload.contextLength();
          case MIXED -> Integer.MAX_VALUE;
          case PREFILL_FIRST, DECODE_FIRST, CHUNKED_ONLY -> 0;
        };
    if (batch.tokens() < budget
        && preempted.isEmpty()
        && scheduler.running().size() < workload.maxSequences()) {
      final List<Sequence> first =
          live.values().stream()
              .filter(s -> !s.isHeld() && !scheduler.running().contains(s))
              .collect(
                  Collectors.groupingBy(
                      Sequence::tenant, Collectors.minBy(IterationScheduler.BY_RANK)))
              .values()
              .stream()
              .flatMap(Optional::stream)
              .filter(this::isUnderTheCaps)
              .toList();
      // Bulk may be left out for the sake of what is to come.
      if (live.values().stream().anyMatch(s -> s.isBulk(step))) {
        return;
      }
      assertThat(first.isEmpty() || !first.stream().allMatch(this::hasRoom))
          .as("%s beside %s, of which none was admitted", first, batch)
          .isTrue();
    }
  }

  private boolean isUnderTheCaps(final Sequence sequence) {
    final List<Sequence> others =
        scheduler.running().stream().filter(s -> s.tenant().equals(sequence.tenant())).toList();
    final long tokens = others.stream().mapToLong(Sequence::maxLength).sum();
    return others.isEmpty()
        || others.size() < workload.tenancy().maxRunning()
            && tokens + sequence.maxLength() <= workload.tenancy().maxTokens();
  }

  private boolean hasRoom(final Sequence sequence) {
    final int tokens = workload.policy() == Policy.MIXED ? sequence.maxLength() : sequence.length();
    return scheduler.running().isEmpty()
        || pool.blocksFor(tokens) <= pool.free() - scheduler.promised();
  }

  private void preemptsTheYoungest(final List<Sequence> before, final List<Sequence> preempted) {
    assertThat(before.subList(before.size() - preempted.size(), before.size()))
        .isEqualTo(preempted);
    assertThat(scheduler.preempted()).containsAll(preempted.stream().map(Sequence::id).toList());
  }

  private void overtakesNobodyOfItsTenant(
      final List<Sequence> before, final List<Sequence> preempted) {
    final Set<Sequence> waiting = new HashSet<>(live.values());
    waiting.removeIf(s -> scheduler.running().contains(s) || s.isHeld());
    scheduler.running().stream()
        .filter(s -> !before.contains(s) || preempted.contains(s))
        .forEach(
            admitted ->
                assertThat(waiting)
                    .noneMatch(
                        s ->
                            s.tenant().equals(admitted.tenant())
                                && s.isBulk(step) == admitted.isBulk(step)
                                && IterationScheduler.BY_RANK.compare(s, admitted) < 0));
  }

  private void keepsTheCaps() {
    scheduler.running().stream()
        .collect(Collectors.groupingBy(Sequence::tenant))
        .forEach(
            (tenant, running) -> {
              assertThat(running.size()).isLessThanOrEqualTo(workload.tenancy().maxRunning());
              final long tokens = running.stream().mapToLong(Sequence::maxLength).sum();
              assertThat(running.size() == 1 || tokens <= workload.tenancy().maxTokens()).isTrue();
            });
  }

  private void accountsForEveryBlock() {
    final int[] holders = new int[pool.size()];
    int promised = 0;
    for (final Sequence sequence : scheduler.running()) {
      for (int i = 0; i < sequence.blocks().size(); i++) {
        holders[sequence.blocks().blocks()[i]]++;
      }
      promised += sequence.blocks().missing(sequence.prefillEnd());
    }
    int used = 0;
    for (int block = 0; block < holders.length; block++) {
      assertThat(pool.references(block)).as("holders of block %d", block).isEqualTo(holders[block]);
      used += holders[block] > 0 ? 1 : 0;
    }
    assertThat(pool.free()).isEqualTo(pool.size() - used);
    assertThat(scheduler.promised()).isEqualTo(promised);
  }

  private void complete() {
    if (device.inFlight() == 0) {
      return;
    }
    for (final StepResult.Sampled sampled : scheduler.completed(device.complete())) {
      final Sequence sequence = live.get(sampled.sequence());
      assertThat(sampled.token()).isEqualTo(workload.token(sequence.id(), sequence.length() - 1));
      assertThat(sequence.generated())
          .as("tokens that %s has kept", sequence)
          .isEqualTo(request(sequence).generated() + yielded.merge(sequence.id(), 1, Integer::sum));
      if (sequence.generated() == request(sequence).maxGenerated()) {
        assertThat(finished.add(sequence.id())).isTrue();
        remove(sequence);
      }
    }
  }
}
