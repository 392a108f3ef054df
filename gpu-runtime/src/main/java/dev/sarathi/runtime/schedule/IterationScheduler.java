package dev.sarathi.runtime.schedule;

import dev.sarathi.runtime.cache.BlockPool;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.Optional;
import java.util.TreeSet;

/**
 * What every policy stands on: the waiting and running sequences in order of rank, their KV blocks,
 * and the batches in flight. A policy fills one batch at a time in {@link #plan}.
 */
abstract class IterationScheduler implements Scheduler {
  private static final Comparator<Sequence> BY_RANK =
      Comparator.comparingLong(Sequence::rank).thenComparingLong(Sequence::id);

  private final BlockPool pool;
  private final int maxSequences;
  private final int watermark;
  private final Map<Long, Sequence> sequences = new HashMap<>();
  private final NavigableSet<Sequence> waiting = new TreeSet<>(BY_RANK);
  private final NavigableSet<Sequence> running = new TreeSet<>(BY_RANK);
  private final Map<Long, Map<Long, InFlight>> inFlight = new HashMap<>();
  private long nextBatch;
  private long preemptions;

  /** A slice of a batch in flight, and which incarnation of its sequence it was cut from. */
  private record InFlight(Sequence sequence, int incarnation) {}

  /**
   * @param maxSequences how many sequences may hold KV blocks at once
   */
  IterationScheduler(final BlockPool pool, final int maxSequences) {
    this.pool = pool;
    this.maxSequences = maxSequences;
    // One block in a hundred stays free at admission, as in vLLM and Sarathi-Serve, so that running
    // decodes can grow for a while before anything is preempted.
    this.watermark = pool.size() / 100;
  }

  /** Fills the next batch; leaving it empty means that nothing can be computed now. */
  abstract void plan(BatchUnderConstruction batch);

  @Override
  public final void add(final Sequence sequence) {
    if (sequences.putIfAbsent(sequence.id(), sequence) != null) {
      throw new IllegalArgumentException("sequence " + sequence.id() + " was added before");
    }
    waiting.add(sequence);
  }

  @Override
  public final void remove(final long id) {
    final Sequence sequence = sequences.remove(id);
    if (sequence != null && !waiting.remove(sequence)) {
      running.remove(sequence);
      sequence.evict();
    }
  }

  @Override
  public final Optional<Batch> next(final long now) {
    final BatchUnderConstruction batch = new BatchUnderConstruction();
    plan(batch);
    if (batch.counts.isEmpty()) {
      return Optional.empty();
    }
    final Map<Long, InFlight> members = new HashMap<>();
    for (final Sequence sequence : batch.counts.keySet()) {
      members.put(sequence.id(), new InFlight(sequence, sequence.incarnation()));
    }
    inFlight.put(nextBatch, members);
    return Optional.of(batch.build(nextBatch++));
  }

  @Override
  public final List<StepResult.Sampled> completed(final StepResult result) {
    final Map<Long, InFlight> members = inFlight.remove(result.batch());
    final List<StepResult.Sampled> valid = new ArrayList<>(result.sampled().size());
    for (final StepResult.Sampled sampled : result.sampled()) {
      final InFlight member = members.get(sampled.sequence());
      if (member.incarnation == member.sequence.incarnation()) {
        member.sequence.append(sampled.token());
        valid.add(sampled);
      }
    }
    return valid;
  }

  @Override
  public final Load load() {
    return new Load(waiting.size(), running.size(), preemptions, pool.free());
  }

  /** The sequences that hold KV blocks, oldest first; a copy, since planning may preempt. */
  final List<Sequence> running() {
    return List.copyOf(running);
  }

  final boolean isRunning(final Sequence sequence) {
    return running.contains(sequence);
  }

  /**
   * Admits the first waiting sequence that is not held, if its whole prefill fits beside what the
   * admitted prefills still need and the watermark. Nobody overtakes a sequence that does not fit.
   */
  final Optional<Sequence> admit() {
    final Optional<Sequence> next = waiting.stream().filter(s -> !s.isHeld()).findFirst();
    if (next.isEmpty() || running.size() >= maxSequences) {
      return Optional.empty();
    }
    final Sequence first = next.get();
    int promised = 0;
    for (final Sequence sequence : running) {
      if (sequence.isPrefill()) {
        promised += sequence.blocks().missing(sequence.scheduled() + sequence.prefillRemaining());
      }
    }
    final int needed = pool.blocksFor(first.length());
    // Alone, a sequence is always admitted: the engine refuses those that the whole pool cannot
    // hold.
    if (!running.isEmpty() && pool.free() - promised - needed < watermark) {
      return Optional.empty();
    }
    waiting.remove(first);
    running.add(first);
    first.admit(pool);
    return Optional.of(first);
  }

  /**
   * Makes sure that {@code sequence} has blocks for one more position: takes a free one, else from
   * the youngest running sequence.
   *
   * @return false if the sequence is itself the youngest: it loses its own, once its tokens in
   *     flight have come
   */
  final boolean growForDecode(final Sequence sequence, final BatchUnderConstruction batch) {
    while (sequence.blocks().missing(sequence.scheduled() + 1) > pool.free()) {
      final Sequence victim = running.last();
      if (victim == sequence && sequence.hasTokensInFlight()) {
        // Preempted now, it would lose them, fit again without them, and so on without end.
        return false;
      }
      preempt(victim, batch);
      if (victim == sequence) {
        return false;
      }
    }
    sequence.blocks().grow(sequence.scheduled() + 1);
    return true;
  }

  /**
   * Takes blocks for a chunk of at most {@code wanted} positions: as many as there are free blocks
   * for; if none, the youngest sequence loses its own, unless that is this one.
   *
   * @return how many positions have blocks, possibly 0
   */
  final int growForPrefill(
      final Sequence sequence, final int wanted, final BatchUnderConstruction batch) {
    int count = reachable(sequence, wanted);
    while (count == 0 && running.last() != sequence) {
      preempt(running.last(), batch);
      count = reachable(sequence, wanted);
    }
    sequence.blocks().grow(sequence.scheduled() + count);
    return count;
  }

  private static int reachable(final Sequence sequence, final int wanted) {
    return Math.min(wanted, sequence.blocks().reach() - sequence.scheduled());
  }

  /**
   * By recompute: the blocks go, the generated tokens and their count stay (vLLM's bug avoided).
   */
  private void preempt(final Sequence victim, final BatchUnderConstruction batch) {
    running.remove(victim);
    // A prefill may take the blocks of a younger decode that this batch already holds.
    batch.counts.remove(victim);
    victim.evict();
    waiting.add(victim);
    preemptions++;
  }

  /** The batch that a policy is filling: which sequences, and how many positions of each. */
  static final class BatchUnderConstruction {
    private final Map<Sequence, Integer> counts = new LinkedHashMap<>();

    /** Adds the next {@code count} positions of a sequence, whose blocks have been taken. */
    void add(final Sequence sequence, final int count) {
      counts.put(sequence, count);
    }

    int size() {
      return counts.size();
    }

    private Batch build(final long id) {
      final List<Slice> slices = new ArrayList<>(counts.size());
      counts.forEach((sequence, count) -> slices.add(sequence.slice(count, id, slices.size())));
      return new Batch(id, slices);
    }
  }
}
