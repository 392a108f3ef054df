package dev.sarathi.runtime;

import dev.sarathi.runtime.cache.BlockPool;
import dev.sarathi.runtime.constrain.Guide;
import dev.sarathi.runtime.execute.Calibration;
import dev.sarathi.runtime.execute.Executor;
import dev.sarathi.runtime.execute.ExecutorFailedException;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Overlap;
import dev.sarathi.runtime.schedule.Policy;
import dev.sarathi.runtime.schedule.SamplingRule;
import dev.sarathi.runtime.schedule.Scheduler;
import dev.sarathi.runtime.schedule.Sequence;
import dev.sarathi.runtime.schedule.Sharing;
import dev.sarathi.runtime.schedule.Slice;
import dev.sarathi.runtime.schedule.StepResult;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs a language model in this process: takes requests from any thread, batches them iteration by
 * iteration, hands tokens to listeners. The tokens of a generation depend only on the model, the
 * prompt, the sampling options, the seed and the executor's numerics, never on what runs beside it.
 *
 * <p>Threading: every public method may be called from any thread. One engine thread owns the
 * scheduler, the KV accounting and the sequences; other threads reach it through a queue of
 * actions.
 */
public final class GenerationEngine implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(GenerationEngine.class);

  /**
   * How often every generation is asked for its deadline, and whether its listener has enough.
   * Those that have begun are asked the latter before each iteration; thousands may wait, and an
   * iteration of a small model takes less than asking them all.
   */
  private static final long ROUND_NANOS = 10_000_000;

  /** For what an iteration of any shape takes, so long is enough. */
  private static final long CALIBRATION_NANOS = 400_000_000;

  /** A choice whose sequence is in the scheduler. */
  private record Member(LiveGeneration generation, Choice choice) {}

  private final EngineConfig config;
  private final LoadedModel model;
  private final Executor executor;
  private final Scheduler scheduler;
  private final Thread thread;
  private final Consumer<Thread> waker;
  private final AtomicLong nextSequence = new AtomicLong();
  private final AtomicLong nextGroup = new AtomicLong();
  private final Queue<Runnable> actions = new ConcurrentLinkedQueue<>();
  private final Set<LiveGeneration> generations = new LinkedHashSet<>();
  private final Set<LiveGeneration> begun = new LinkedHashSet<>();
  private final Map<Long, Member> members = new HashMap<>();
  private final AtomicInteger inEngine = new AtomicInteger();
  private final CountDownLatch warm = new CountDownLatch(1);
  private final ObservedIterations observed;
  private final ServingObservers observers = new ServingObservers();

  /** How many each batch in flight computes, the oldest first. */
  private final Deque<Integer> tokensInFlight = new ArrayDeque<>();

  private final Constraints constraints;
  private long lastRound;
  private volatile boolean closing;
  private volatile Scheduler.Load load;
  private volatile BlockPool.Load blocks;
  private volatile Optional<EngineFailedException> failure = Optional.empty();

  /**
   * Loads a model and starts. Returns when the model is loaded; the warm-up goes on, until it is
   * over or the first request comes.
   *
   * @param config how to build it
   * @return the engine, to be closed by the caller
   * @throws IllegalArgumentException if a setting is impossible for the model or the machine
   */
  public static GenerationEngine start(final EngineConfig config) {
    return new GenerationEngine(config, LoadedModel.open(config));
  }

  /**
   * Loads a model and starts, with somebody who looks on.
   *
   * @param config how to build it
   * @param observer told of every iteration, on the engine's thread
   * @return the engine, to be closed by the caller
   * @throws IllegalArgumentException if a setting is impossible for the model or the machine
   */
  public static GenerationEngine start(
      final EngineConfig config, final IterationObserver observer) {
    return new GenerationEngine(config, LoadedModel.open(config), Optional.of(observer));
  }

  GenerationEngine(final EngineConfig config, final LoadedModel model) {
    this(config, model, Optional.empty());
  }

  GenerationEngine(
      final EngineConfig config,
      final LoadedModel model,
      final Optional<IterationObserver> observer) {
    this(config, model, observer, LockSupport::unpark);
  }

  /**
   * @param waker unparks the engine thread, for a thread that has left it something to do; on
   *     return that thread goes on
   */
  GenerationEngine(
      final EngineConfig config,
      final LoadedModel model,
      final Optional<IterationObserver> observer,
      final Consumer<Thread> waker) {
    this.config = config;
    this.model = model;
    this.waker = waker;
    this.executor = model.executor();
    this.scheduler =
        Policy.named(config.policy())
            .scheduler(
                new BlockPool(
                    executor.limits().kvBlocks(),
                    executor.limits().blockTokens(),
                    config.prefixCache()),
                new Policy.Settings(
                    config.tokenBudget(),
                    model.contextLength(),
                    config.maxSequences(),
                    config.tenancy(),
                    1,
                    Overlap.ALL));
    tellLoad();
    this.lastRound = System.nanoTime() - ROUND_NANOS;
    this.observed = new ObservedIterations(observer);
    this.constraints =
        new Constraints(model.tokenizer(), model.vocabularySize(), model.eosTokens());
    this.thread = Thread.ofPlatform().name("sarathi-engine").daemon().unstarted(this::run);
    thread.start();
  }

  /**
   * {@return what this engine's tokens depend on besides the request: weights, tokenizer and
   * numerics}
   */
  public String fingerprint() {
    return model.fingerprint() + "/" + executor.limits().numericsId();
  }

  /** {@return the most tokens of one generation, prompt and generated together} */
  public int contextLength() {
    return model.contextLength();
  }

  /** {@return the last part of the model's path} */
  public String modelName() {
    return model.name();
  }

  /**
   * Checks a request as {@link #submit} does.
   *
   * @param request what would be submitted
   * @return how many tokens its prompt has
   * @throws InvalidRequestException if it can never be served
   */
  public int validate(final GenerationRequest request) {
    return promptOf(request).length;
  }

  /**
   * Starts a generation.
   *
   * @param request what to generate
   * @param listener takes the tokens, on the engine's thread
   * @return stops it
   * @throws InvalidRequestException if the request can never be served
   * @throws QueueFullException if as many wait as the configuration allows
   * @throws EngineFailedException if the engine is broken
   * @throws IllegalStateException if the engine is closed
   */
  public GenerationHandle submit(final GenerationRequest request, final TokenListener listener) {
    return submit(request, List.of(), false, listener);
  }

  /**
   * Goes on with a generation of which another run has emitted the first tokens.
   *
   * @param request what to generate
   * @param emitted what was emitted before of each choice, from the first on, and is not emitted
   *     again; choices that are not in the list begin anew
   * @param listener takes the tokens, on the engine's thread
   * @return stops it
   * @throws InvalidRequestException if the request can never be served
   * @throws QueueFullException if as many wait as the configuration allows
   * @throws EngineFailedException if the engine is broken
   * @throws IllegalStateException if the engine is closed
   */
  public GenerationHandle resume(
      final GenerationRequest request,
      final List<EmittedChoice> emitted,
      final TokenListener listener) {
    return submit(request, emitted, false, listener);
  }

  /**
   * Starts a generation whose listener also takes the logits of each token of the first choice.
   *
   * @param request what to generate
   * @param listener takes tokens and logits, on the engine's thread
   * @return stops it
   * @throws InvalidRequestException if the request can never be served
   * @throws QueueFullException if as many wait as the configuration allows
   * @throws EngineFailedException if the engine is broken
   * @throws IllegalStateException if the engine is closed
   */
  public GenerationHandle submitWithLogits(
      final GenerationRequest request, final TokenListener listener) {
    return submit(request, List.of(), true, listener);
  }

  private GenerationHandle submit(
      final GenerationRequest request,
      final List<EmittedChoice> emitted,
      final boolean logits,
      final TokenListener listener) {
    requireServing();
    final int[] prompt = servedPromptOf(request);
    final int room = model.contextLength() - prompt.length;
    final int maxTokens = Math.min(request.maxTokens().orElse(room), room);
    final SamplingRule rule = ruleOf(request, logits);
    final long now = executor.now();
    final long rank =
        request.priority() == Priority.BULK ? now + config.bulkAging().toNanos() : now;
    final Sharing sharing = sharingOf(request);
    final List<Choice> choices = new ArrayList<>();
    for (int index = 0; index < request.choices(); index++) {
      final EmittedChoice before =
          index < emitted.size() ? emitted.get(index) : EmittedChoice.NOTHING;
      if (before.finished()) {
        continue;
      }
      model.check("emitted", before.tokens());
      if (before.tokens().length >= maxTokens) {
        throw new InvalidRequestException(
            "max_tokens",
            "%d, with %d tokens emitted before".formatted(maxTokens, before.tokens().length));
      }
      choices.add(choice(request, index, prompt, before.tokens(), maxTokens, rank, rule, sharing));
    }
    if (choices.isEmpty()) {
      throw new InvalidRequestException("emitted", "holds the end of every choice already");
    }
    final LiveGeneration generation =
        new LiveGeneration(
            request,
            prompt.length,
            choices,
            listener,
            new LiveGeneration.Surroundings(this::act, this::forget, executor::now, observers));
    takePlaces(choices.size());
    final Runnable admission = () -> admit(generation);
    act(admission);
    if ((failure.isPresent() || closing) && actions.remove(admission)) {
      requireServing();
    }
    return generation;
  }

  private int[] servedPromptOf(final GenerationRequest request) {
    try {
      return promptOf(request);
    } catch (final IllegalStateException e) {
      // The tokenizer goes with the engine, which may end at any moment.
      requireServing();
      throw e;
    }
  }

  private Choice choice(
      final GenerationRequest request,
      final int index,
      final int[] prompt,
      final int[] emitted,
      final int maxTokens,
      final long rank,
      final SamplingRule rule,
      final Sharing sharing) {
    final boolean scored =
        request.promptLogprobs().isPresent() && index == 0 && emitted.length == 0;
    final Sequence sequence =
        new Sequence(
            nextSequence.getAndIncrement(),
            rank,
            prompt,
            emitted,
            maxTokens,
            scored
                ? rule.forChoice(index)
                : rule.forChoice(index).withPromptLogprobs(SamplingRule.NO_LOGPROBS),
            request.tenant(),
            // The log-probabilities of a position cannot be had without computing it.
            scored ? sharing.withoutReading() : sharing);
    if (request.priority() == Priority.BULK) {
      sequence.asBulk();
    }
    final Set<Integer> endTokens = new HashSet<>(request.stopTokens());
    if (!request.ignoreEos()) {
      endTokens.addAll(model.eosTokens());
    }
    final Optional<Guide> guide =
        request.constraint().map(c -> guide(c, endTokens, emitted, maxTokens));
    guide.ifPresent(sequence::guidedBy);
    final TextStream text = new TextStream(model.tokenizer(), prompt, request.stop());
    for (final int token : emitted) {
      text.push(token);
    }
    return new Choice(index, sequence, maxTokens, endTokens, text, guide);
  }

  private Guide guide(
      final Constraint constraint,
      final Set<Integer> endTokens,
      final int[] emitted,
      final int maxTokens) {
    final Guide guide =
        new Guide(
            constraints.of(constraint).automaton(),
            endTokens.stream().mapToInt(Integer::intValue).sorted().toArray());
    for (final int token : emitted) {
      guide.accept(token);
    }
    if (guide.isLost() || guide.isComplete()) {
      throw new InvalidRequestException(
          "emitted", "is not the beginning of a text that the constraint allows");
    }
    if (guide.fewestTokens() > maxTokens - emitted.length) {
      throw new InvalidRequestException(
          "max_tokens",
          "%d, with %d tokens emitted before, leave no room for the %d that the constraint needs"
              .formatted(maxTokens, emitted.length, guide.fewestTokens()));
    }
    return guide;
  }

  /** Counts on the caller's thread, so that it learns at once that it is refused. */
  private void takePlaces(final int wanted) {
    final int waiting = inEngine.getAndAdd(wanted) - load.running();
    // A request with more choices than may wait is taken when nothing else waits.
    if (waiting > 0 && waiting + wanted > config.maxWaiting()) {
      inEngine.addAndGet(-wanted);
      throw new QueueFullException(waiting, config.maxWaiting());
    }
  }

  private void requireServing() {
    failure.ifPresent(
        f -> {
          throw new EngineFailedException(f.getMessage(), f);
        });
    if (closing) {
      throw new IllegalStateException("the engine is closed");
    }
  }

  private int[] promptOf(final GenerationRequest request) {
    request.validate();
    model.check("stop_token_ids", request.stopTokens());
    model.check("logit_bias", request.sampling().logitBias().keySet());
    final int[] whole = model.encode(request.prompt());
    final int[] ids = request.truncatePrompt().isPresent() ? truncated(whole, request) : whole;
    if (ids.length >= model.contextLength()) {
      throw new InvalidRequestException(
          "prompt",
          "has %d tokens, but the context holds %d, of which at least 1 is for the answer"
              .formatted(ids.length, model.contextLength()));
    }
    checkConstraint(request, model.contextLength() - ids.length);
    return ids;
  }

  /** Whether the shortest text that the constraint allows fits, and nothing else ends it. */
  private void checkConstraint(final GenerationRequest request, final int room) {
    if (request.constraint().isEmpty()) {
      return;
    }
    final int needed = constraints.of(request.constraint().get()).fewestTokens();
    final int maxTokens = Math.min(request.maxTokens().orElse(room), room);
    if (needed > maxTokens) {
      throw new InvalidRequestException(
          "max_tokens",
          "%d are left for the answer, but what the constraint asks for needs %d at least"
              .formatted(maxTokens, needed));
    }
    for (final int token : request.stopTokens()) {
      if (constraints.isText(token)) {
        throw new InvalidRequestException(
            "stop_token_ids",
            token + " stands for text; beside a constraint only tokens without text may end it");
      }
    }
  }

  private int[] truncated(final int[] ids, final GenerationRequest request) {
    final int wanted = request.truncatePrompt().getAsInt();
    final int room = model.contextLength() - request.maxTokens().orElse(1);
    final int keep = wanted == 0 ? Math.max(1, room) : wanted;
    if (ids.length <= keep) {
      return ids;
    }
    final int[] kept = Arrays.copyOfRange(ids, ids.length - keep, ids.length);
    // Without the token that begins every text, a model is at a loss.
    if (keep > 1 && model.bosToken().isPresent() && ids[0] == model.bosToken().getAsInt()) {
      kept[0] = ids[0];
    }
    return kept;
  }

  private static SamplingRule ruleOf(final GenerationRequest request, final boolean logits) {
    final Sampling sampling = request.sampling();
    final int[] biased = sampling.logitBias().keySet().stream().mapToInt(i -> i).sorted().toArray();
    final float[] bias = new float[biased.length];
    for (int i = 0; i < biased.length; i++) {
      bias[i] = sampling.logitBias().get(biased[i]);
    }
    return new SamplingRule(
        sampling.temperature(),
        sampling.minP(),
        sampling.topK(),
        sampling.topP(),
        new SamplingRule.Penalties(
            sampling.repetitionPenalty(), sampling.presencePenalty(), sampling.frequencyPenalty()),
        new SamplingRule.LogitBias(biased, bias),
        sampling.seed().orElseGet(() -> seedOf(request.id())),
        0,
        request.logprobs().orElse(SamplingRule.NO_LOGPROBS),
        request.promptLogprobs().orElse(SamplingRule.NO_LOGPROBS),
        logits);
  }

  /** The choices of a request are a group. */
  private Sharing sharingOf(final GenerationRequest request) {
    return request.choices() > 1
        ? Sharing.DEFAULT.withGroup(nextGroup.getAndIncrement())
        : Sharing.DEFAULT;
  }

  /** A request without a seed draws the same numbers on every replay, whoever serves it. */
  private static long seedOf(final String id) {
    try {
      final byte[] digest =
          MessageDigest.getInstance("SHA-256").digest(id.getBytes(StandardCharsets.UTF_8));
      return ByteBuffer.wrap(digest).getLong();
    } catch (final NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }

  private void act(final Runnable action) {
    actions.add(action);
    wake();
  }

  void wake() {
    waker.accept(thread);
  }

  private void admit(final LiveGeneration generation) {
    generations.add(generation);
    enter(generation, generation.leader());
    generation.holdUnlessAccepted();
  }

  private void enter(final LiveGeneration generation, final Choice choice) {
    members.put(choice.sequence().id(), new Member(generation, choice));
    scheduler.add(choice.sequence());
  }

  /** The prompt is computed, or never will be: the other choices share its blocks. */
  private void enterFollowers(final LiveGeneration generation) {
    generation.takeFollowers().forEach(choice -> enter(generation, choice));
  }

  private void forget(final LiveGeneration generation, final Choice choice) {
    inEngine.decrementAndGet();
    observed.ended(choice.sequence().id());
    members.remove(choice.sequence().id());
    scheduler.remove(choice.sequence().id());
    if (generation.isOver()) {
      generations.remove(generation);
      begun.remove(generation);
    } else {
      enterFollowers(generation);
    }
  }

  private void run() {
    try {
      new WarmUp(executor, model.contextLength()).run(config.warmUp(), this::isWanted);
      calibrate();
      warm.countDown();
      while (!closing) {
        iterate();
      }
    } catch (final RuntimeException | Error e) {
      breakDown(e);
    } finally {
      warm.countDown();
      model.close();
    }
  }

  /** After the warm-up: what is still interpreted would teach it nothing. */
  private void calibrate() {
    if (config.tokenBudget() instanceof TokenBudget.Adaptive && !config.warmUp().isZero()) {
      new Calibration(executor, model.contextLength(), TokenBudget.Adaptive.MOST_TOKENS)
          .run(CALIBRATION_NANOS, this::isWanted, scheduler::learn);
    }
  }

  private boolean isWanted() {
    return closing || !actions.isEmpty();
  }

  private void iterate() {
    for (Runnable action = actions.poll(); action != null; action = actions.poll()) {
      action.run();
    }
    if (System.nanoTime() - lastRound >= ROUND_NANOS) {
      lastRound = System.nanoTime();
      expire();
      List.copyOf(generations).forEach(LiveGeneration::holdUnlessAccepted);
    } else {
      List.copyOf(begun).forEach(LiveGeneration::holdUnlessAccepted);
    }
    while (executor.accepts()) {
      final Optional<Batch> batch = scheduler.next(executor.now());
      if (batch.isEmpty()) {
        break;
      }
      final long now = executor.now();
      for (final Slice slice : batch.get().slices()) {
        final LiveGeneration generation = members.get(slice.sequence()).generation();
        generation.scheduled(now);
        begun.add(generation);
      }
      observed.planned(batch.get(), scheduler, this::part);
      executor.submit(batch.get());
      tokensInFlight.add(batch.get().tokens());
    }
    tellLoad();
    final boolean idle = tokensInFlight.isEmpty();
    executor.await(executor.now() + ROUND_NANOS).ifPresent(this::completed);
    tellLoad();
    if (idle && actions.isEmpty()) {
      LockSupport.parkNanos(this, generations.isEmpty() ? Long.MAX_VALUE : ROUND_NANOS);
    }
  }

  private void expire() {
    final Instant now = Instant.now();
    generations.stream()
        .filter(generation -> generation.request().deadline().filter(now::isAfter).isPresent())
        .toList()
        .forEach(generation -> generation.end(FinishReason.DEADLINE));
  }

  private void completed(final StepResult result) {
    final int tokens = tokensInFlight.remove();
    for (final StepResult.Scored scored : result.scored()) {
      member(scored.sequence()).ifPresent(member -> member.generation().scored(scored));
    }
    for (final StepResult.Sampled sampled : scheduler.completed(result)) {
      // Absent when a listener failed a moment ago, by which its other choices ended.
      member(sampled.sequence())
          .ifPresent(
              member -> {
                enterFollowers(member.generation());
                final boolean first = member.choice().firstToken() < 0;
                member.generation().accept(member.choice(), sampled, result.end());
                if (first) {
                  observed.firstToken(result.end() - member.generation().submitted());
                }
              });
    }
    for (final StepResult.Failure failed : result.failures()) {
      member(failed.sequence())
          .ifPresent(
              member ->
                  member
                      .generation()
                      .end(member.choice(), FinishReason.ERROR, Optional.of(failed.message())));
    }
    observed.completed(result);
    observers.onBatch(tokens, result.end() - result.start());
  }

  private Iteration.Part part(final Slice slice) {
    final Member member = members.get(slice.sequence());
    return new Iteration.Part(
        slice.sequence(),
        member.generation().request().id(),
        member.choice().index(),
        member.choice().sequence().isPrefill(slice.start()),
        slice.start(),
        slice.count());
  }

  private Optional<Member> member(final long sequence) {
    return Optional.ofNullable(members.get(sequence));
  }

  private void breakDown(final Throwable cause) {
    final String reason =
        cause instanceof ExecutorFailedException ? cause.getMessage() : cause.toString();
    final EngineFailedException failed =
        new EngineFailedException("the engine broke down: " + reason, cause);
    LOG.error("engine broke down generations={} model={}", generations.size(), model.name(), cause);
    failure = Optional.of(failed);
    for (Runnable action = actions.poll(); action != null; action = actions.poll()) {
      action.run();
    }
    List.copyOf(generations).forEach(generation -> generation.fail(failed));
  }

  private void tellLoad() {
    load = scheduler.load();
    blocks = scheduler.blocks();
  }

  /**
   * Lets somebody look on, from now on.
   *
   * @param observer hears of every generation, on the engine's thread
   */
  public void observe(final ServingObserver observer) {
    observers.add(observer);
  }

  /** {@return what it holds now, and has done since its start} */
  public EngineLoad load() {
    final Scheduler.Load sequences = load;
    final BlockPool.Load kv = blocks;
    return new EngineLoad(
        sequences.waiting(),
        sequences.running(),
        kv.used(),
        kv.cached(),
        kv.total(),
        sequences.preemptions(),
        kv.lookedUpTokens(),
        kv.cachedTokens());
  }

  /** {@return how often a generation lost its KV blocks to an older one, since the start} */
  public long preemptions() {
    return load.preemptions();
  }

  /**
   * {@return whether it serves at full speed: the warm-up is over, or the first request has ended
   * it}
   */
  public boolean isReady() {
    return warm.getCount() == 0 && isHealthy();
  }

  /**
   * Waits until the engine is ready.
   *
   * @param timeout how long at most
   * @return false if it is not by then, or never will be
   * @throws InterruptedException if the waiting thread is interrupted
   */
  public boolean awaitReady(final Duration timeout) throws InterruptedException {
    return warm.await(timeout.toNanos(), TimeUnit.NANOSECONDS) && isReady();
  }

  /** {@return whether the engine serves; once it is broken it stays so} */
  public boolean isHealthy() {
    return failure.isEmpty() && thread.isAlive();
  }

  /**
   * Stops the engine and frees the model. Listeners hear nothing more. Called by a listener it only
   * asks for that: the engine thread cannot wait for itself.
   */
  @Override
  public void close() {
    closing = true;
    LockSupport.unpark(thread);
    boolean interrupted = false;
    while (thread.isAlive() && thread != Thread.currentThread()) {
      try {
        thread.join();
      } catch (final InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
