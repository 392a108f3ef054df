package dev.sarathi.runtime.schedule;

import dev.sarathi.runtime.cache.BlockPool;
import dev.sarathi.runtime.cache.BlockTable;
import java.util.Arrays;
import java.util.Optional;

/**
 * One choice of one request on its way through the scheduler: its tokens, how far they have been
 * handed to the executor, and its KV blocks.
 *
 * <p>Positions below {@code scheduled} have been submitted; a token sampled by a batch in flight is
 * {@code pending} until its batch is done. Prefill is whatever was known when the sequence was
 * admitted: the prompt, and after a preemption or a resume also the tokens generated before.
 *
 * <p>Threading: confined to the engine thread.
 */
public final class Sequence {
  private static final int[] NO_BLOCKS = {};

  private final long id;
  private final long rank;
  private final int promptLength;
  private final int maxGenerated;
  private final SamplingRule sampling;
  private final boolean needsHistory;
  private final String tenant;
  private final Sharing sharing;
  private int[] tokens;
  private int known;
  private int scheduled;
  private int prefillEnd;
  private int pending;
  private long pendingBatch;
  private int pendingRow;
  private int inFlight;
  private int incarnation;
  private boolean held;
  private boolean admitted;
  private int cachedTokens;
  private BlockTable blocks;
  private WaitingLine.Tenant account;
  private long lastTokenAt;
  private boolean bulk;
  private Optional<TokenGuide> guide = Optional.empty();

  /** A sequence of no particular tenant, which takes what the prefix cache has. */
  public Sequence(
      final long id,
      final long rank,
      final int[] prompt,
      final int[] generated,
      final int maxGenerated,
      final SamplingRule sampling) {
    this(id, rank, prompt, generated, maxGenerated, sampling, "", Sharing.DEFAULT);
  }

  /**
   * @param id unique among the sequences of a scheduler
   * @param rank the order of service: the lowest first, and the highest is preempted first
   * @param prompt the prompt's token ids, at least one
   * @param generated tokens generated before, by an earlier run of the same generation
   * @param maxGenerated how many tokens to generate in all, those of {@code generated} included
   * @param sampling how to choose each token
   * @param tenant on whose behalf; admission is fair among tenants
   * @param sharing with whom it shares KV blocks
   */
  public Sequence(
      final long id,
      final long rank,
      final int[] prompt,
      final int[] generated,
      final int maxGenerated,
      final SamplingRule sampling,
      final String tenant,
      final Sharing sharing) {
    if (prompt.length == 0) {
      throw new IllegalArgumentException("sequence " + id + " has an empty prompt");
    }
    if (generated.length >= maxGenerated) {
      throw new IllegalArgumentException(
          "sequence %d has generated %d tokens already, of at most %d"
              .formatted(id, generated.length, maxGenerated));
    }
    this.id = id;
    this.rank = rank;
    this.promptLength = prompt.length;
    this.maxGenerated = maxGenerated;
    this.sampling = sampling;
    this.needsHistory = sampling.needsHistory();
    this.tenant = tenant;
    this.sharing = sharing;
    this.known = prompt.length + generated.length;
    this.tokens = Arrays.copyOf(prompt, known);
    System.arraycopy(generated, 0, tokens, prompt.length, generated.length);
  }

  public long id() {
    return id;
  }

  long rank() {
    return rank;
  }

  /**
   * Makes it bulk until its rank has come: it waits for all that is not, takes only what these
   * leave, and nobody counts the time between its tokens.
   */
  public Sequence asBulk() {
    bulk = true;
    return this;
  }

  /**
   * Lets a guide say which tokens may follow.
   *
   * @param value has accepted the tokens generated before
   */
  public Sequence guidedBy(final TokenGuide value) {
    guide = Optional.of(value);
    return this;
  }

  boolean isBulk(final long now) {
    return bulk && rank > now;
  }

  String tenant() {
    return tenant;
  }

  /** Where its tokens are counted; looked up once, since that is done for each of them. */
  WaitingLine.Tenant account() {
    return account;
  }

  void account(final WaitingLine.Tenant tenant) {
    this.account = tenant;
  }

  int incarnation() {
    return incarnation;
  }

  /** How many tokens it has, prompt and generated. */
  public int length() {
    return known;
  }

  /** How many tokens it has generated, those of earlier runs included. */
  public int generated() {
    return known - promptLength;
  }

  /** The most tokens it may have in the end. */
  int maxLength() {
    return promptLength + maxGenerated;
  }

  /** How many of its tokens were taken from the prefix cache when it was first admitted. */
  public int cachedTokens() {
    return cachedTokens;
  }

  /**
   * Whether computing a position is prefill: its token was known when the sequence was last given
   * KV blocks. All others are decodes.
   */
  public boolean isPrefill(final int position) {
    return position < prefillEnd;
  }

  /**
   * While held, a sequence is left out of batches and keeps its KV blocks: nobody takes its tokens.
   */
  public void hold(final boolean hold) {
    this.held = hold;
  }

  private boolean isPrefill() {
    return isPrefill(scheduled);
  }

  /**
   * Whether the next decode may be submitted now. Penalties and a guide depend on every token
   * before, so that the next cannot be submitted while one is in flight.
   */
  boolean isReadyToDecode(final Overlap overlap) {
    return !held
        && (overlap == Overlap.ALL || inFlight == 0)
        && !isPrefill()
        && scheduled < known + (needsHistory || guide.isPresent() ? 0 : pending)
        && scheduled + 1 - promptLength < maxGenerated;
  }

  boolean isReadyToPrefill(final Overlap overlap) {
    return !held && (overlap != Overlap.NONE || inFlight == 0) && isPrefill();
  }

  boolean isInFlight() {
    return inFlight > 0;
  }

  boolean isHeld() {
    return held;
  }

  boolean hasTokensInFlight() {
    return pending > 0;
  }

  int prefillEnd() {
    return prefillEnd;
  }

  int prefillRemaining() {
    return prefillEnd - scheduled;
  }

  /** The blocks of its beginning that it could share now. */
  int[] cachedPrefix(final BlockPool pool) {
    return sharing.readsCache() ? pool.find(sharing.group(), tokens, known) : NO_BLOCKS;
  }

  boolean wasAdmitted() {
    return admitted;
  }

  /**
   * @param cached the blocks of its beginning, which need not be computed
   */
  void admit(final BlockPool pool, final int[] cached) {
    blocks = new BlockTable(pool, sharing.group());
    if (sharing.readsCache()) {
      blocks.share(cached, known);
    }
    scheduled = cached.length * pool.blockTokens();
    prefillEnd = known;
    if (!admitted) {
      admitted = true;
      cachedTokens = scheduled;
    }
  }

  /**
   * A batch with a slice of it is done: others may find the blocks of the positions below {@code
   * computed}.
   */
  void computed(final int computed) {
    inFlight--;
    blocks.publish(tokens, computed);
  }

  /** Forgets what was computed, never what was generated. Results in flight no longer count. */
  void evict() {
    blocks.release();
    incarnation++;
    inFlight = 0;
    pending = 0;
    scheduled = 0;
    prefillEnd = known;
  }

  BlockTable blocks() {
    return blocks;
  }

  int scheduled() {
    return scheduled;
  }

  /** The next {@code count} positions as a slice, whose blocks must have been taken already. */
  Slice slice(final int count, final long batch, final int row) {
    final int end = scheduled + count;
    final Input input =
        end <= known
            ? new Input.Known(Arrays.copyOfRange(tokens, scheduled, end))
            : new Input.FromBatch(pendingBatch, pendingRow);
    final boolean samples = end >= prefillEnd;
    final Optional<SamplingPlan> plan =
        samples ? Optional.of(plan(end - promptLength)) : Optional.empty();
    final Slice slice = new Slice(id, scheduled, count, input, blocks.blocks(), plan, scoring(end));
    scheduled = end;
    inFlight++;
    if (samples) {
      pending++;
      pendingBatch = batch;
      pendingRow = row;
    }
    return slice;
  }

  private SamplingPlan plan(final int outputIndex) {
    final SamplingPlan.History history =
        needsHistory
            ? new SamplingPlan.History(tokens, promptLength, known)
            : SamplingPlan.History.NONE;
    return new SamplingPlan(
        sampling, outputIndex, history, guide.map(g -> g.allowed(maxGenerated - outputIndex)));
  }

  /** For the positions from {@code scheduled} to {@code end} whose next token is the prompt's. */
  private Optional<PromptScoring> scoring(final int end) {
    final int last = Math.min(end, promptLength - 1);
    return sampling.promptLogprobs() != SamplingRule.NO_LOGPROBS && scheduled < last
        ? Optional.of(
            new PromptScoring(
                Arrays.copyOfRange(tokens, scheduled + 1, last + 1), sampling.promptLogprobs()))
        : Optional.empty();
  }

  /** When its latest token came, in the executor's nanoseconds. */
  long lastTokenAt() {
    return lastTokenAt;
  }

  void append(final int token, final long time) {
    lastTokenAt = time;
    if (known == tokens.length) {
      tokens = Arrays.copyOf(tokens, Math.max(16, 2 * known));
    }
    tokens[known++] = token;
    pending--;
    guide.ifPresent(g -> g.accept(token));
  }

  @Override
  public String toString() {
    return "sequence %d (rank %d, %d of %d tokens scheduled, %d generated of at most %d)"
        .formatted(id, rank, scheduled, known, generated(), maxGenerated);
  }
}
