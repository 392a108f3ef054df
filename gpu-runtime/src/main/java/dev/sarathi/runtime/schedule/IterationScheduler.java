package dev.sarathi.runtime.schedule;

import dev.sarathi.runtime.cache.BlockPool;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;

/**
 * What every policy stands on: the waiting and running sequences in order of rank, their KV blocks,
 * and the batches in flight. A policy fills one batch at a time in {@link #plan}, from three moves:
 * decodes, chunks of prefill, whole prompts.
 */
abstract class IterationScheduler implements Scheduler {
  static final Comparator<Sequence> BY_RANK =
      Comparator.comparingLong(Sequence::rank).thenComparingLong(Sequence::id);

  private final BlockPool pool;
  private final int maxSequences;
  private final Overlap overlap;
  private final Reservation reservation;
  private final int watermark;
  private final Map<Long, Sequence> sequences = new HashMap<>();
  private final WaitingLine waiting;
  private final List<Sequence> running = new ArrayList<>();
  private final Deque<InFlight> inFlight = new ArrayDeque<>();
  private final List<Long> preempted = new ArrayList<>();
  private boolean preemptedTold;
  private long now;
  private int promised;
  private long nextBatch;
  private long preemptions;

  /** The KV blocks that a sequence is sure of when it is admitted. */
  enum Reservation {
    /** Those of what is known, which it takes as it is computed; decodes take theirs one by one. */
    KNOWN,
    /** Those of the longest it may become, taken at once; it is never preempted. */
    MAXIMUM
  }

  /** A batch in flight: its sequences, which incarnation of each, and how far it takes them. */
  private record InFlight(long batch, Sequence[] members, int[] incarnations, int[] ends) {

    /** The index of a member; executors answer in the batch's order, so it is near {@code from}. */
    private int find(final long sequence, final int from) {
      for (int i = from; i < members.length; i++) {
        if (members[i].id() == sequence) {
          return i;
        }
      }
      for (int i = 0; i < from; i++) {
        if (members[i].id() == sequence) {
          return i;
        }
      }
      throw new IllegalStateException("batch " + batch + " has no sequence " + sequence);
    }

    /** Whether the member was neither removed nor preempted in the meantime. */
    private boolean counts(final int index) {
      return members[index].incarnation() == incarnations[index];
    }
  }

  /** A sequence that may be admitted now, and the blocks of its cached beginning. */
  private record Candidate(Sequence sequence, int[] cached) {}

  IterationScheduler(
      final BlockPool pool, final Policy.Settings settings, final Reservation reservation) {
    this.pool = pool;
    this.maxSequences = settings.maxSequences();
    this.waiting = new WaitingLine(settings.tenancy());
    this.overlap = settings.overlap();
    this.reservation = reservation;
    // One block in a hundred stays free at admission, as in vLLM and Sarathi-Serve, so that running
    // decodes can grow for a while before anything is preempted.
    this.watermark = reservation == Reservation.MAXIMUM ? 0 : pool.size() / 100;
  }

  /** Fills the next batch; leaving it empty means that nothing can be computed now. */
  abstract void plan(BatchUnderConstruction batch);

  /** A batch of this scheduler's is submitted. */
  void submitted(final Batch batch, final long time) {}

  /** A batch is done. */
  void done(final StepResult result) {}

  /** A sequence that has run is removed. */
  void ended(final Sequence sequence) {}

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
      evict(sequence);
      waiting.left(sequence);
      ended(sequence);
    }
  }

  @Override
  public final Optional<Batch> next(final long time) {
    now = time;
    if (preemptedTold) {
      preempted.clear();
      preemptedTold = false;
    }
    final BatchUnderConstruction batch = new BatchUnderConstruction(running.size());
    plan(batch);
    if (batch.isEmpty()) {
      return Optional.empty();
    }
    preemptedTold = true;
    final Batch built = batch.build(nextBatch++);
    inFlight.add(batch.inFlight(built.id()));
    submitted(built, now);
    return Optional.of(built);
  }

  @Override
  public final List<StepResult.Sampled> completed(final StepResult result) {
    final InFlight batch = inFlight.remove();
    if (batch.batch != result.batch()) {
      throw new IllegalStateException(
          "batch " + result.batch() + " is completed before batch " + batch.batch);
    }
    done(result);
    publish(batch, result.failures());
    final List<StepResult.Sampled> valid = new ArrayList<>(result.sampled().size());
    int member = -1;
    for (final StepResult.Sampled sampled : result.sampled()) {
      member = batch.find(sampled.sequence(), member + 1);
      if (batch.counts(member)) {
        batch.members[member].append(sampled.token(), result.end());
        waiting.served(batch.members[member], 1);
        valid.add(sampled);
      }
    }
    return valid;
  }

  private static void publish(final InFlight batch, final List<StepResult.Failure> failures) {
    for (final StepResult.Failure failure : failures) {
      // What it has computed may be what made it fail.
      batch.ends[batch.find(failure.sequence(), 0)] = 0;
    }
    for (int i = 0; i < batch.members.length; i++) {
      if (batch.counts(i)) {
        batch.members[i].computed(batch.ends[i]);
      }
    }
  }

  @Override
  public final Load load() {
    return new Load(waiting.size(), running.size(), preemptions, pool.free());
  }

  @Override
  public final BlockPool.Load blocks() {
    return pool.load();
  }

  @Override
  public final List<Long> preempted() {
    return List.copyOf(preempted);
  }

  /**
   * What prefill is added to.
   *
   * @param target a decode that has waited longer for its token is late already
   */
  final PrefillBudget.Situation situation(final BatchUnderConstruction batch, final long target) {
    long context = 0;
    long oldestToken = now;
    for (int i = 0; i < batch.size; i++) {
      final Sequence sequence = batch.members[i];
      context += sequence.scheduled() + 1;
      if (!sequence.isBulk(now) && sequence.lastTokenAt() > now - target) {
        oldestToken = Math.min(oldestToken, sequence.lastTokenAt());
      }
    }
    int start = 0;
    int length = Integer.MAX_VALUE;
    for (final Sequence sequence : running) {
      if (sequence.isReadyToPrefill(overlap)) {
        start = sequence.scheduled();
        length = sequence.prefillRemaining();
        break;
      }
    }
    return new PrefillBudget.Situation(
        now, new BatchShape(batch.size, batch.size, context, 0), oldestToken, start, length);
  }

  /** The sequences that hold KV blocks, oldest first. */
  final List<Sequence> running() {
    return Collections.unmodifiableList(running);
  }

  /** Blocks that admitted prefills have not taken yet; nobody is admitted to these. */
  final int promised() {
    return promised;
  }

  /**
   * Adds every decode that is ready. One without a block takes the youngest sequence's; the
   * youngest itself loses its own.
   */
  final void addDecodes(final BatchUnderConstruction batch) {
    addDecodes(batch, _ -> true);
  }

  final void addDecodes(final BatchUnderConstruction batch, final Predicate<Sequence> among) {
    // By index, since a preemption takes the last: this one, or one still to come.
    for (int i = 0; i < running.size(); i++) {
      final Sequence sequence = running.get(i);
      if (sequence.isReadyToDecode(overlap)
          && among.test(sequence)
          && growForDecode(sequence, batch)) {
        batch.add(sequence, 1);
      }
    }
  }

  /**
   * Spends a budget on chunks of prefill: of those that have begun, then of waiting ones; and bulk
   * after all that is not.
   */
  final void addChunks(final BatchUnderConstruction batch, final Allowance budget) {
    addRunningChunks(batch, budget, false);
    final boolean allAreServed = addWaitingChunks(batch, budget);
    addFollowingChunks(batch, budget, false);
    if (!allAreServed) {
      return;
    }
    addRunningChunks(batch, budget, true);
    addFollowingChunks(batch, budget, true);
    while (budget.remaining() > 0 && hasRoomForBulk()) {
      final Optional<Sequence> admitted = admit(Integer.MAX_VALUE);
      if (admitted.isEmpty()) {
        return;
      }
      addChunk(admitted.get(), budget, batch);
    }
  }

  /**
   * Adds those next in the line, up to bulk.
   *
   * @return whether there was a place and blocks for all, as far as the budget went
   */
  private boolean addWaitingChunks(final BatchUnderConstruction batch, final Allowance budget) {
    boolean bulkIsNext = false;
    while (budget.remaining() > 0 && !bulkIsNext) {
      bulkIsNext = waiting.first(now).map(s -> s.isBulk(now)).orElse(true);
      if (!bulkIsNext) {
        makeRoomBesideBulk(batch);
        // Ranks may lie in the future, and then what lost its place may be first again.
        if (waiting.first(now).filter(this::isUrgent).isEmpty()) {
          break;
        }
        final Optional<Sequence> admitted = admit(Integer.MAX_VALUE);
        if (admitted.isEmpty()) {
          return false;
        }
        addChunk(admitted.get(), budget, batch);
      }
    }
    return true;
  }

  private void addRunningChunks(
      final BatchUnderConstruction batch, final Allowance budget, final boolean bulk) {
    final Overlap allowed = overlap == Overlap.CHUNKS ? Overlap.NONE : overlap;
    for (int i = 0; i < running.size() && budget.remaining() > 0; i++) {
      final Sequence sequence = running.get(i);
      if (sequence.isBulk(now) == bulk && sequence.isReadyToPrefill(allowed)) {
        addChunk(sequence, budget, batch);
      }
    }
  }

  /**
   * In a pipeline, chunks of prompts that have one in flight, after all others: as long as there
   * are prompts for each stage, they wait for less when several are prefilled side by side.
   */
  private void addFollowingChunks(
      final BatchUnderConstruction batch, final Allowance budget, final boolean bulk) {
    if (overlap != Overlap.CHUNKS) {
      return;
    }
    for (int i = 0; i < running.size() && budget.remaining() > 0; i++) {
      final Sequence sequence = running.get(i);
      if (sequence.isBulk(now) == bulk
          && sequence.isInFlight()
          && sequence.isReadyToPrefill(overlap)) {
        addChunk(sequence, budget, batch);
      }
    }
  }

  /** Whoever is first in the line and not bulk may take the place and the blocks of bulk. */
  private void makeRoomBesideBulk(final BatchUnderConstruction batch) {
    final Sequence next = waiting.first(now).orElseThrow();
    while (!running.isEmpty()
        && running.getLast().isBulk(now)
        && BY_RANK.compare(running.getLast(), next) > 0
        && (running.size() >= maxSequences || !fits(withCachedPrefix(next)))) {
      preempt(running.getLast(), batch);
    }
  }

  /** An eighth of the places stays free of bulk, so that hardly any is preempted for a place. */
  private boolean hasRoomForBulk() {
    return running.isEmpty() || running.size() < maxSequences - maxSequences / 8 && admitsBulk();
  }

  final boolean isUrgent(final Sequence sequence) {
    return !sequence.isBulk(now);
  }

  /** Whether somebody who is not bulk waits for its first token. */
  final boolean prefillIsUrgent() {
    for (final Sequence sequence : running) {
      if (isUrgent(sequence) && sequence.isReadyToPrefill(overlap)) {
        return true;
      }
    }
    return waiting.first(now).filter(this::isUrgent).isPresent();
  }

  /** Whether the decodes leave time for those of one more bulk sequence. */
  boolean admitsBulk() {
    return true;
  }

  /** The decodes of all that runs, and of one more as long as these are on average. */
  final BatchShape decodesAndOneMore() {
    long context = 0;
    for (final Sequence sequence : running) {
      context += sequence.length();
    }
    final int count = running.size() + 1;
    return new BatchShape(count, count, context / Math.max(1, running.size()) * count, 0);
  }

  private void addChunk(
      final Sequence sequence, final Allowance budget, final BatchUnderConstruction batch) {
    final int count =
        growForPrefill(sequence, Math.min(sequence.prefillRemaining(), budget.remaining()), batch);
    if (count > 0) {
      batch.add(sequence, count);
      budget.spend(count);
    }
  }

  /**
   * Admits waiting sequences and adds their whole prefill, as long as the budget holds the next.
   */
  final void addWholePrompts(final BatchUnderConstruction batch, final Allowance budget) {
    addWholePrompts(batch, budget, Integer.MAX_VALUE);
  }

  final void addWholePrompts(
      final BatchUnderConstruction batch, final Allowance budget, final int maxPrompts) {
    while (batch.size() < maxPrompts) {
      final Optional<Sequence> admitted = admit(budget.remaining());
      if (admitted.isEmpty()) {
        return;
      }
      addChunk(admitted.get(), budget, batch);
    }
  }

  /**
   * Admits the next waiting sequence, if it has no more than {@code limit} tokens to compute and if
   * its blocks fit beside what the admitted prefills still need and the watermark. Nobody overtakes
   * one that does not fit.
   */
  private Optional<Sequence> admit(final int limit) {
    if (running.size() >= maxSequences) {
      return Optional.empty();
    }
    return waiting
        .first(now)
        .map(this::withCachedPrefix)
        .filter(c -> c.sequence.length() - c.cached.length * pool.blockTokens() <= limit)
        .filter(this::fits)
        .map(this::admit);
  }

  private Candidate withCachedPrefix(final Sequence sequence) {
    return new Candidate(sequence, sequence.cachedPrefix(pool));
  }

  private boolean fits(final Candidate candidate) {
    int needed = pool.blocksFor(reserved(candidate.sequence));
    for (final int block : candidate.cached) {
      if (pool.references(block) > 0) {
        needed--;
      }
    }
    // Alone, a sequence is always admitted: the engine refuses those that the whole pool cannot
    // hold.
    return running.isEmpty() || pool.free() - promised - needed >= watermark;
  }

  private int reserved(final Sequence sequence) {
    return reservation == Reservation.MAXIMUM ? sequence.maxLength() : sequence.length();
  }

  private Sequence admit(final Candidate candidate) {
    final Sequence sequence = candidate.sequence;
    waiting.admitted(sequence);
    running.add(-1 - Collections.binarySearch(running, sequence, BY_RANK), sequence);
    final boolean first = !sequence.wasAdmitted();
    sequence.admit(pool, candidate.cached);
    if (first) {
      waiting.served(sequence, sequence.prefillRemaining());
    }
    if (reservation == Reservation.MAXIMUM) {
      sequence.blocks().grow(sequence.maxLength());
    }
    promised += outstanding(sequence);
    return sequence;
  }

  /** The blocks that a sequence still needs for its prefill. */
  private static int outstanding(final Sequence sequence) {
    return sequence.blocks().missing(sequence.prefillEnd());
  }

  /**
   * Makes sure that {@code sequence} has blocks for one more position: takes a free one, else from
   * the youngest running sequence.
   *
   * @return false if the sequence is itself the youngest: it loses its own, once its tokens in
   *     flight have come
   */
  private boolean growForDecode(final Sequence sequence, final BatchUnderConstruction batch) {
    while (sequence.blocks().missing(sequence.scheduled() + 1) > pool.free()) {
      final Sequence victim = running.getLast();
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
  private int growForPrefill(
      final Sequence sequence, final int wanted, final BatchUnderConstruction batch) {
    int count = reachable(sequence, wanted);
    while (count == 0 && running.getLast() != sequence) {
      preempt(running.getLast(), batch);
      count = reachable(sequence, wanted);
    }
    promised -= outstanding(sequence);
    sequence.blocks().grow(sequence.scheduled() + count);
    promised += outstanding(sequence);
    return count;
  }

  private static int reachable(final Sequence sequence, final int wanted) {
    return Math.min(wanted, sequence.blocks().reach() - sequence.scheduled());
  }

  /**
   * By recompute: the blocks go, the generated tokens and their count stay (vLLM's bug avoided).
   */
  private void preempt(final Sequence victim, final BatchUnderConstruction batch) {
    // A prefill may take the blocks of a younger decode that this batch already holds.
    batch.remove(victim);
    evict(victim);
    waiting.preempted(victim);
    preempted.add(victim.id());
    preemptions++;
  }

  private void evict(final Sequence sequence) {
    running.remove(Collections.binarySearch(running, sequence, BY_RANK));
    promised -= outstanding(sequence);
    sequence.evict();
  }

  /** The batch that a policy is filling: which sequences, and how many positions of each. */
  static final class BatchUnderConstruction {
    private Sequence[] members;
    private int[] counts;
    private int size;

    /**
     * @param expected about how many members it will have
     */
    private BatchUnderConstruction(final int expected) {
      members = new Sequence[expected + 8];
      counts = new int[expected + 8];
    }

    /** Adds the next {@code count} positions of a sequence, whose blocks have been taken. */
    private void add(final Sequence sequence, final int count) {
      if (size == members.length) {
        members = Arrays.copyOf(members, 2 * size);
        counts = Arrays.copyOf(counts, 2 * size);
      }
      members[size] = sequence;
      counts[size++] = count;
    }

    private void remove(final Sequence sequence) {
      for (int i = 0; i < size; i++) {
        if (members[i] == sequence) {
          size--;
          System.arraycopy(members, i + 1, members, i, size - i);
          System.arraycopy(counts, i + 1, counts, i, size - i);
          return;
        }
      }
    }

    int size() {
      return size;
    }

    List<Sequence> members() {
      return List.of(Arrays.copyOf(members, size));
    }

    boolean isEmpty() {
      return size == 0;
    }

    private Batch build(final long id) {
      final Slice[] slices = new Slice[size];
      for (int row = 0; row < size; row++) {
        slices[row] = members[row].slice(counts[row], id, row);
      }
      return new Batch(id, List.of(slices));
    }

    private InFlight inFlight(final long id) {
      final int[] incarnations = new int[size];
      final int[] ends = new int[size];
      for (int i = 0; i < size; i++) {
        incarnations[i] = members[i].incarnation();
        ends[i] = members[i].scheduled();
      }
      return new InFlight(id, Arrays.copyOf(members, size), incarnations, ends);
    }
  }
}
