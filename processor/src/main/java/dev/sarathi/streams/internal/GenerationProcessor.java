package dev.sarathi.streams.internal;

import dev.sarathi.runtime.EmittedChoice;
import dev.sarathi.runtime.EngineFailedException;
import dev.sarathi.runtime.FinishReason;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationHandle;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.InvalidRequestException;
import dev.sarathi.runtime.QueueFullException;
import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.runtime.TokenListener;
import dev.sarathi.streams.GenerationResult;
import dev.sarathi.streams.GenerationResult.Provenance;
import dev.sarathi.streams.GenerationSettings;
import dev.sarathi.streams.ModelChange;
import dev.sarathi.streams.Routed;
import dev.sarathi.streams.internal.stored.StoredAttempt;
import dev.sarathi.streams.internal.stored.StoredRequest;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.TaskCorruptedException;
import org.apache.kafka.streams.errors.TaskMigratedException;
import org.apache.kafka.streams.processor.Cancellable;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Generates exactly once without ever waiting for the engine.
 *
 * <p>{@link #process} stores a request and returns: from then on it is durable and its input offset
 * may commit. Each {@link #turn} of the punctuator forwards what the engine has emitted, writes it
 * down as progress, and keeps a window of requests in the engine; Streams commits the forwarded
 * records, the progress and the offsets in one transaction. A later incarnation, after a crash or a
 * rebalance, takes the window up again where the last commit left it.
 *
 * <p>Threading: confined to the stream thread; the engine's thread meets it in the {@link
 * ResultQueue} alone.
 */
public final class GenerationProcessor<K, V, W> implements Processor<K, V, K, W> {
  private static final Logger LOG = LoggerFactory.getLogger(GenerationProcessor.class);

  /** A turn looks at no more requests for those of cancelled jobs. */
  private static final int SWEPT_AT_ONCE = 1_000;

  private static final long BACKLOG_INTERVAL_MILLIS = 1_000;
  private static final long FENCE_PATIENCE_MILLIS = 30_000;

  /** How the engine is handed a request. */
  interface Handover {
    GenerationHandle resume(
        GenerationRequest request, List<EmittedChoice> emitted, TokenListener listener);
  }

  private final GenerationEngine engine;
  private final Handover handover;
  private final GenerationSettings settings;
  private final Requests<K, V> requests;
  private final Function<GenerationResult<K, V>, List<Routed<K, W>>> mapper;
  private final StoreNames names;
  private final NodeState node;
  private final Optional<JobRules<K, V, W>> jobRules;
  private final Optional<Fence<K, W>> fence;
  private ProcessorContext<K, W> context;
  private GenerationStores stores;
  private GenerationMetrics metrics;
  private Jobs<K, V, W> jobs;
  private Outlet<K, V, W> outlet;
  private Intake<K, V> intake;
  private Window<K, V> window;
  private ResultQueue<K, V> results;
  private PendingCommit commit;
  private Pace pace;
  private Duration interval;
  private Cancellable punctuation;

  /** Where to look for requests of cancelled jobs; absent when there are none. */
  private Optional<Sweep> sweep = Optional.empty();

  /** Requests from a position on, or from the beginning. */
  private record Sweep(Optional<Bytes> from) {}

  /** The request whose last attempt is being made. */
  private Optional<Bytes> onTrial = Optional.empty();

  private long staleTokensRecorded;
  private long backlogRecorded;

  /** Whether a record has come to this incarnation, or none is needed; see {@link Fence}. */
  private boolean fenced;

  /** When the fence was sent, in milliseconds; 0 before. */
  private long fenceSent;

  /** Whether this incarnation had its first turn. */
  private boolean begun;

  /** Whether the engine had no room for a request, the last time that it was asked. */
  private boolean engineFull;

  /** Whether a step of this incarnation failed. */
  private boolean failed;

  /** Whether the incarnation before ended in this process, and not by a step that failed. */
  private boolean takenBack;

  /**
   * @param node what all processors of the node share
   * @param jobRules what it knows of jobs; absent to count none
   * @param fence what it waits for before it goes on with unfinished requests; absent not to wait
   */
  public GenerationProcessor(
      final GenerationEngine engine,
      final GenerationSettings settings,
      final Requests<K, V> requests,
      final Function<GenerationResult<K, V>, List<Routed<K, W>>> mapper,
      final StoreNames names,
      final NodeState node,
      final Optional<JobRules<K, V, W>> jobRules,
      final Optional<Fence<K, W>> fence) {
    this(engine, engine::resume, settings, requests, mapper, names, node, jobRules, fence);
  }

  GenerationProcessor(
      final GenerationEngine engine,
      final Handover handover,
      final GenerationSettings settings,
      final Requests<K, V> requests,
      final Function<GenerationResult<K, V>, List<Routed<K, W>>> mapper,
      final StoreNames names,
      final NodeState node,
      final Optional<JobRules<K, V, W>> jobRules,
      final Optional<Fence<K, W>> fence) {
    this.engine = engine;
    this.handover = handover;
    this.settings = settings;
    this.requests = requests;
    this.mapper = mapper;
    this.names = names;
    this.node = node;
    this.jobRules = jobRules;
    this.fence = fence;
  }

  @Override
  public void init(final ProcessorContext<K, W> processorContext) {
    this.context = processorContext;
    requireExactlyOnce();
    this.stores = new GenerationStores(context, names, settings.dedupRetention());
    this.metrics = new GenerationMetrics(context, names);
    this.jobs = new Jobs<>(context, jobRules, names, settings.dedupRetention());
    this.outlet = new Outlet<>(context, mapper, jobs);
    this.intake =
        new Intake<>(engine, settings, requests, context, names, stores, metrics, outlet, jobs);
    this.sweep = Optional.empty();
    this.onTrial = Optional.empty();
    this.window = new Window<>(settings.window());
    this.results = new ResultQueue<>(settings.maxUncommittedTokens());
    this.commit = new PendingCommit();
    this.staleTokensRecorded = 0;
    this.backlogRecorded = 0;
    this.fenced = false;
    this.fenceSent = 0;
    this.begun = false;
    this.engineFull = false;
    this.failed = false;
    this.takenBack = node.takeBack(context.taskId());
    // All else is left to the first turn: here Streams has no record context to write with.
    this.pace = new Pace(settings.drainInterval(), node.arrivals());
    this.interval = settings.drainInterval();
    this.punctuation = schedule();
  }

  private Cancellable schedule() {
    return context.schedule(
        interval, PunctuationType.WALL_CLOCK_TIME, now -> guarded("turn", this::turn));
  }

  /** Weaker guarantees could keep a store's deletion and lose the terminal record. */
  private void requireExactlyOnce() {
    final Object guarantee = context.appConfigs().get(StreamsConfig.PROCESSING_GUARANTEE_CONFIG);
    if (!StreamsConfig.EXACTLY_ONCE_V2.equals(guarantee)) {
      throw new ConfigException(
          StreamsConfig.PROCESSING_GUARANTEE_CONFIG,
          guarantee,
          "generation needs " + StreamsConfig.EXACTLY_ONCE_V2);
    }
  }

  @Override
  public void close() {
    if (results != null) {
      if (!failed) {
        node.handBack(context.taskId());
      }
      window.abandon();
      node.endTrial(this);
      results.close();
      recordStaleTokens();
      punctuation.cancel();
      metrics.close();
    }
  }

  // ---- a record comes in

  @Override
  public void process(final Record<K, V> record) {
    guarded(
        "request",
        () -> {
          pace.arrived();
          fenced = true;
          if (fence.filter(f -> f.isFence().test(record.headers())).isPresent()) {
            return;
          }
          if (record.value() == null) {
            final Optional<String> job = jobs.cancelledBy(record.key(), record.headers());
            if (job.isPresent()) {
              cancelJob(job.get());
            } else {
              intake.cancelledBy(record).ifPresent(this::cancel);
            }
          } else {
            intake.take(record).ifPresent(window::arrived);
          }
        });
  }

  /** Durable by itself: it ends the request here and now, whatever the engine still has of it. */
  private void cancel(final String id) {
    final Optional<Bytes> position = stores.positionOf(id);
    if (position.isEmpty()) {
      LOG.debug("nothing to cancel: no unfinished request {}", id);
      return;
    }
    final ActiveRequest<K, V> request =
        window
            .remove(position.get())
            .orElseGet(() -> load(position.get(), stores.request(position.get()).orElseThrow()));
    request.abandon();
    endEarly(request, FinishReason.CANCELLED, Optional.empty());
  }

  /** Durable by itself too; its requests, of which there may be many, end in the next turns. */
  private void cancelJob(final String job) {
    LOG.info("job {} is cancelled", job);
    jobs.cancel(job);
    sweep = Optional.of(new Sweep(Optional.empty()));
  }

  /** Ends some of the requests of cancelled jobs. */
  private boolean sweep() {
    if (sweep.isEmpty()) {
      return false;
    }
    final List<String> found = new ArrayList<>();
    final int[] seen = {0};
    final Optional<Bytes> from = sweep.get().from();
    sweep = Optional.empty();
    stores.visit(
        from,
        (position, stored) -> {
          if (seen[0]++ == SWEPT_AT_ONCE) {
            sweep = Optional.of(new Sweep(Optional.of(position)));
            return false;
          }
          if (jobs.isCancelled(requests.originOf(stored))) {
            found.add(stored.getId());
          }
          return true;
        });
    found.forEach(this::cancel);
    return !found.isEmpty();
  }

  // ---- a turn of the punctuator

  private void turn() {
    commit.isOver(node.observer());
    keepPace();
    recordStaleTokens();
    recordBacklog();
    begin();
    boolean effects = false;
    if (mayWrite()) {
      effects |= submitAdmitted();
      effects |= drain();
      effects |= sweep();
      endTrial();
      effects |= window.fill(stores, this::mayAdmit, this::admit);
      effects |= jobs.publish();
    }
    if (effects) {
      // Visible latency is then the drain interval's, whatever commit.interval.ms is.
      context.commit();
    }
  }

  /** Whether the commit of what is written now will be checked; see {@link Fence}. */
  private boolean mayWrite() {
    if (fenced) {
      return true;
    }
    final long now = context.currentSystemTimeMs();
    if (fenceSent == 0) {
      if (fence.isEmpty() || !stores.holdsRequests()) {
        fenced = true;
        return true;
      }
      outlet.forward(fence.get().record().apply(context.taskId().partition()));
      context.commit();
      fenceSent = now;
    } else if (now - fenceSent > FENCE_PATIENCE_MILLIS) {
      LOG.warn(
          "task {} has waited {} s for a record of its input, and does not go on before; it has"
              + " sent one itself",
          context.taskId(),
          FENCE_PATIENCE_MILLIS / 1_000);
      fenceSent = now;
    }
    return false;
  }

  private void keepPace() {
    final Duration next = pace.turn();
    if (!next.equals(interval)) {
      interval = next;
      punctuation.cancel();
      punctuation = schedule();
    }
  }

  /** Takes stock of the jobs, before the first turn that acts on them. */
  private void begin() {
    if (!begun) {
      if (jobs.begin()) {
        sweep = Optional.of(new Sweep(Optional.empty()));
      }
      begun = true;
    }
  }

  /**
   * Hands over what the turn before has admitted. Its attempt has been committed since: a request
   * that kills the process is counted, and does not kill it for ever. (A rebalance under way can
   * defer that commit; then one attempt may go uncounted.)
   */
  private boolean submitAdmitted() {
    boolean ended = false;
    for (Optional<ActiveRequest<K, V>> next = window.nextAdmitted();
        next.isPresent();
        next = window.nextAdmitted()) {
      try {
        submit(next.get());
        window.handedOver();
      } catch (final QueueFullException e) {
        noteFullEngine(e);
        return ended;
      } catch (final InvalidRequestException e) {
        endEarly(next.get(), FinishReason.ERROR, Optional.of(e.getMessage()));
        ended = true;
      }
    }
    engineFull = false;
    return ended;
  }

  private void submit(final ActiveRequest<K, V> request) {
    final List<Emitted> before = stores.transcript(request.position, request.stored).choices();
    request.submitted(
        handover.resume(
            request.request,
            before.stream().map(Emitted::before).toList(),
            results.listener(request)));
    if (before.stream().anyMatch(choice -> choice.size() > 0)) {
      metrics.resumed.record();
      metrics.recomputedTokens.record(
          engine.validate(request.request)
              + before.stream().filter(choice -> !choice.hasEnded()).mapToInt(Emitted::size).sum());
      LOG.info(
          "request {} is resumed at token {}",
          request.id(),
          before.stream()
              .map(choice -> String.valueOf(choice.size()))
              .collect(Collectors.joining("/")));
    }
  }

  /** What the engine has no room for stays in the window, in its order, for a later turn. */
  private void noteFullEngine(final QueueFullException reason) {
    if (!engineFull) {
      LOG.info(
          "the engine takes no further request for now, {} of task {} wait: {}",
          window.admitted(),
          context.taskId(),
          reason.getMessage());
    }
    engineFull = true;
  }

  /** Forwards what the engine has emitted, and writes it down. */
  private boolean drain() {
    final Map<ActiveRequest<K, V>, List<TokenDelta>> drained = results.drain();
    // Those of a request cancelled in the meantime are not in the window any more.
    drained.keySet().removeIf(request -> !window.holds(request));
    drained.forEach(this::take);
    return !drained.isEmpty();
  }

  private void take(final ActiveRequest<K, V> request, final List<TokenDelta> deltas) {
    outlet.forward(resultsOf(request, deltas));
    commit.add(deltas);
    deltas.forEach(
        delta ->
            delta
                .finish()
                .ifPresent(end -> metrics.cachedTokens.record(end.usage().cachedTokens())));
    if (deltas.getLast().last()) {
      forget(request, deltas.getLast().finish().orElseThrow().reason());
    } else {
      writeProgress(request, deltas);
    }
  }

  private List<GenerationResult<K, V>> resultsOf(
      final ActiveRequest<K, V> request, final List<TokenDelta> deltas) {
    final List<GenerationResult<K, V>> made = new ArrayList<>();
    parts(request, deltas).forEach(part -> made.add(request.tokens(part)));
    final TokenDelta last = deltas.getLast();
    if (last.last()) {
      final Transcript all = stores.transcript(request.position, request.stored);
      deltas.forEach(all::add);
      made.add(all.completion(request.id(), request.origin, request.provenance, last.emittedAt()));
    }
    return made;
  }

  /** Cuts deltas so that no part is of two choices, or has more tokens than a record may have. */
  private List<List<TokenDelta>> parts(
      final ActiveRequest<K, V> request, final List<TokenDelta> deltas) {
    final List<List<TokenDelta>> parts = new ArrayList<>();
    if (request.request.choices() == 1) {
      cut(deltas, parts);
      return parts;
    }
    // In the order of their newest deltas: the choice that ended last, and the request, comes last.
    final Map<Integer, List<TokenDelta>> choices = new LinkedHashMap<>(16, 0.75f, true);
    for (final TokenDelta delta : deltas) {
      choices.computeIfAbsent(delta.choice(), choice -> new ArrayList<>()).add(delta);
    }
    choices.values().forEach(choice -> cut(choice, parts));
    return parts;
  }

  private void cut(final List<TokenDelta> choice, final List<List<TokenDelta>> parts) {
    int begin = 0;
    int tokens = 0;
    for (int i = 0; i < choice.size(); i++) {
      tokens += choice.get(i).tokens().length;
      if (i > begin && tokens > settings.maxTokensPerRecord()) {
        parts.add(choice.subList(begin, i));
        begin = i;
        tokens = choice.get(i).tokens().length;
      }
    }
    parts.add(choice.subList(begin, choice.size()));
  }

  private void writeProgress(final ActiveRequest<K, V> request, final List<TokenDelta> deltas) {
    if (request.firstProgress()) {
      final Provenance provenance = request.provenance;
      stores.putAttempt(
          request.position,
          new StoredAttempt(
              provenance.attempt(),
              0,
              provenance.previousFingerprint().orElse(provenance.fingerprint())));
    }
    request.progress(deltas, stores.progressOf(request.position));
  }

  // ---- the window

  private ActiveRequest<K, V> load(final Bytes position, final StoredRequest stored) {
    final StoredAttempt attempt = stores.attempt(position);
    final String fingerprint = engine.fingerprint();
    final Optional<String> previous = attempt.getFingerprint().filter(f -> !f.equals(fingerprint));
    final ActiveRequest<K, V> request =
        new ActiveRequest<>(
            position,
            stored,
            requests.originOf(stored),
            new Provenance(attempt.getAttempts() + 1, fingerprint, previous));
    stores.readProgress(position, request::restore);
    return request;
  }

  /**
   * A request whose last attempt this would be is tried apart from others of its kind. Of requests
   * that were taken up together with one that kills the process, each has lost as many attempts;
   * the innocent bring a token on their last.
   */
  private boolean mayAdmit(final Bytes position) {
    final int suspicious = suspicious(stores.attempt(position));
    if (suspicious == 0 || suspicious != settings.maxAttempts() - 1) {
      return true;
    }
    if (onTrial.isPresent() || !node.beginTrial(this)) {
      return false;
    }
    onTrial = Optional.of(position);
    return true;
  }

  private void endTrial() {
    if (onTrial.filter(position -> !window.awaitsProgress(position)).isPresent()) {
      onTrial = Optional.empty();
      node.endTrial(this);
    }
  }

  /** An attempt that ended by a rebalance, or by what befell a neighbour, says nothing. */
  private int suspicious(final StoredAttempt before) {
    return Math.max(0, before.getWithoutProgress() - (takenBack ? 1 : 0));
  }

  /** Begins a further attempt at a stored request, or ends it if there is to be none. */
  private Optional<ActiveRequest<K, V>> admit(final Bytes position, final StoredRequest stored) {
    final ActiveRequest<K, V> request = load(position, stored);
    final StoredAttempt before = stores.attempt(position);
    final int suspicious = suspicious(before);
    if (request.request.deadline().filter(Instant.now()::isAfter).isPresent()) {
      endEarly(request, FinishReason.DEADLINE, Optional.empty());
      return Optional.empty();
    }
    final Optional<String> refusal = refusal(request, suspicious);
    if (refusal.isPresent()) {
      endEarly(request, FinishReason.ERROR, refusal);
      return Optional.empty();
    }
    if (before.getAttempts() == 0) {
      jobs.begun(request.origin);
    }
    stores.putAttempt(
        position,
        new StoredAttempt(
            before.getAttempts() + 1, suspicious + 1, before.getFingerprint().orElse(null)));
    return Optional.of(request);
  }

  private Optional<String> refusal(final ActiveRequest<K, V> request, final int suspicious) {
    if (suspicious >= settings.maxAttempts()) {
      return Optional.of(
          "taken up %d times without a new token; sarathi.max.attempts is %d"
              .formatted(suspicious, settings.maxAttempts()));
    }
    return request
        .provenance
        .previousFingerprint()
        .filter(previous -> settings.onModelChange() == ModelChange.FAIL)
        .map(
            previous ->
                "the model changed in mid-generation, from %s to %s; sarathi.on.model.change=continue would go on"
                    .formatted(previous, engine.fingerprint()));
  }

  // ---- ends

  /** Ends a request here rather than in the engine. */
  private void endEarly(
      final ActiveRequest<K, V> request, final FinishReason reason, final Optional<String> error) {
    if (stores.attempt(request.position).getAttempts() == 0) {
      jobs.begun(request.origin);
    }
    outlet.end(
        request.id(),
        request.origin,
        request.provenance,
        stores.transcript(request.position, request.stored),
        new Outlet.End(reason, error, promptTokens(request)));
    forget(request, reason);
  }

  private int promptTokens(final ActiveRequest<K, V> request) {
    try {
      return engine.validate(request.request);
    } catch (final InvalidRequestException e) {
      return 0;
    }
  }

  private void forget(final ActiveRequest<K, V> request, final FinishReason reason) {
    window.remove(request.position);
    stores.finish(
        request.position,
        request.stored,
        reason == FinishReason.ERROR,
        context.currentSystemTimeMs());
    metrics.finished(reason);
    node.observer().onEnd(Duration.between(request.origin.timestamp(), Instant.now()));
  }

  // ---- plumbing

  private void recordStaleTokens() {
    final long stale = results.staleTokens();
    if (stale > staleTokensRecorded) {
      metrics.staleTokens.record(stale - staleTokensRecorded);
      staleTokensRecorded = stale;
    }
  }

  /** Once a second: it looks into the store. */
  private void recordBacklog() {
    final long now = context.currentSystemTimeMs();
    if (now - backlogRecorded < BACKLOG_INTERVAL_MILLIS) {
      return;
    }
    backlogRecorded = now;
    metrics.waiting.record(Math.max(0, stores.unfinished() - window.size()));
    // A bulk request that is first has waited longer than this, by the ageing.
    metrics.oldestWaiting.record(
        window
            .firstWaiting(stores)
            .map(first -> Math.max(0, now - Position.rankOf(first)))
            .orElse(0L));
  }

  /**
   * Runs a step of which nothing may commit unless all of it does. Whatever fails is rethrown as
   * "the tasks have migrated": Streams then aborts the thread's transaction, closes its tasks and
   * takes them again from what was committed.
   *
   * <p>Rejected alternatives: any other exception goes to the processing-exception handler, and one
   * that continues lets half a step commit. A {@link TaskCorruptedException} makes Streams commit
   * the thread's other tasks first, in the transaction that holds our half. An {@link Error} ends
   * the thread, but its consumer stays in the group, and the replacement gets the tasks only after
   * the session timeout: 45 s with the default settings (measured with 4.3.1). It is right where
   * another try is of no use: the engine is broken, or the brokers refuse a right.
   */
  private void guarded(final String step, final Runnable action) {
    try {
      action.run();
    } catch (final TaskMigratedException e) {
      throw e;
    } catch (final EngineFailedException e) {
      failed = true;
      throw new EngineBrokenError(e);
    } catch (final RuntimeException e) {
      failed = true;
      if (AccessRefusedError.isAccessRefused(e)) {
        throw new AccessRefusedError(e);
      }
      LOG.error("{} of task {} failed; its transaction is aborted", step, context.taskId(), e);
      throw new TaskMigratedException(
          "a %s of task %s failed: %s".formatted(step, context.taskId(), e), e);
    }
  }
}
