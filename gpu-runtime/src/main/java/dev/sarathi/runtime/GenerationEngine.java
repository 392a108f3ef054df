package dev.sarathi.runtime;

import dev.sarathi.runtime.cache.BlockPool;
import dev.sarathi.runtime.execute.Executor;
import dev.sarathi.runtime.execute.ExecutorFailedException;
import dev.sarathi.runtime.schedule.Batch;
import dev.sarathi.runtime.schedule.Policy;
import dev.sarathi.runtime.schedule.SamplingPlan;
import dev.sarathi.runtime.schedule.Scheduler;
import dev.sarathi.runtime.schedule.Sequence;
import dev.sarathi.runtime.schedule.Sharing;
import dev.sarathi.runtime.schedule.Slice;
import dev.sarathi.runtime.schedule.StepResult;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
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

  /** How often deadlines and held generations are looked at while nothing can be computed. */
  private static final long IDLE_NANOS = 10_000_000;

  private static final int[] NO_TOKENS = {};

  private final EngineConfig config;
  private final LoadedModel model;
  private final Executor executor;
  private final Scheduler scheduler;
  private final Thread thread;
  private final AtomicLong nextSequence = new AtomicLong();
  private final Queue<Runnable> actions = new ConcurrentLinkedQueue<>();
  private final Map<Long, LiveGeneration> live = new HashMap<>();
  private final AtomicInteger inEngine = new AtomicInteger();
  private final CountDownLatch warm = new CountDownLatch(1);
  private final ObservedIterations observed;
  private int batchesInFlight;
  private volatile boolean closing;
  private volatile Scheduler.Load load;
  private volatile Optional<EngineFailedException> failure = Optional.empty();

  /**
   * Loads a model and starts.
   *
   * @throws IllegalArgumentException if a setting is impossible for the model or the machine
   */
  public static GenerationEngine start(final EngineConfig config) {
    return new GenerationEngine(config, LoadedModel.open(config));
  }

  /**
   * Loads a model and starts, with somebody who looks on.
   *
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
    this.config = config;
    this.model = model;
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
                    config.tenancy()));
    this.load = scheduler.load();
    this.observed = new ObservedIterations(observer);
    this.thread = Thread.ofPlatform().name("sarathi-engine").daemon().unstarted(this::run);
    thread.start();
  }

  /** What this engine's tokens depend on besides the request: weights, tokenizer and numerics. */
  public String fingerprint() {
    return model.fingerprint() + "/" + executor.limits().numericsId();
  }

  /** The most tokens of one generation, prompt and generated together. */
  public int contextLength() {
    return model.contextLength();
  }

  /** The last part of the model's path. */
  public String modelName() {
    return model.name();
  }

  /**
   * Checks a request as {@link #submit} does.
   *
   * @return how many tokens its prompt has
   * @throws InvalidRequestException if it can never be served
   */
  public int validate(final GenerationRequest request) {
    return promptOf(request).length;
  }

  /**
   * Starts a generation.
   *
   * @throws InvalidRequestException if the request can never be served
   * @throws QueueFullException if as many wait as the configuration allows
   * @throws EngineFailedException if the engine is broken
   * @throws IllegalStateException if the engine is closed
   */
  public GenerationHandle submit(final GenerationRequest request, final TokenListener listener) {
    return submit(request, NO_TOKENS, false, listener);
  }

  /**
   * Goes on with a generation of which another run has emitted the first tokens.
   *
   * @param emitted the tokens emitted before; they are not emitted again
   * @throws InvalidRequestException if the request can never be served
   * @throws QueueFullException if as many wait as the configuration allows
   * @throws EngineFailedException if the engine is broken
   * @throws IllegalStateException if the engine is closed
   */
  public GenerationHandle resume(
      final GenerationRequest request, final int[] emitted, final TokenListener listener) {
    return submit(request, emitted, false, listener);
  }

  /** Starts a generation whose listener also takes the logits after the prompt's last token. */
  public GenerationHandle submitWithLogits(
      final GenerationRequest request, final TokenListener listener) {
    return submit(request, NO_TOKENS, true, listener);
  }

  private GenerationHandle submit(
      final GenerationRequest request,
      final int[] emitted,
      final boolean logits,
      final TokenListener listener) {
    requireServing();
    final int[] prompt = promptOf(request);
    model.check("emitted", emitted);
    final int room = model.contextLength() - prompt.length;
    final int maxTokens = Math.min(request.maxTokens().orElse(room), room);
    if (emitted.length >= maxTokens) {
      throw new InvalidRequestException(
          "max_tokens", "%d, with %d tokens emitted before".formatted(maxTokens, emitted.length));
    }
    final long now = executor.now();
    final long rank =
        request.priority() == Priority.BULK ? now + config.bulkAging().toNanos() : now;
    final Sequence sequence =
        new Sequence(
            nextSequence.getAndIncrement(),
            rank,
            prompt,
            emitted,
            maxTokens,
            planOf(request, logits),
            request.tenant(),
            Sharing.DEFAULT);
    final TextStream text = new TextStream(model.tokenizer(), prompt, request.stop());
    for (final int token : emitted) {
      text.push(token);
    }
    final LiveGeneration generation =
        new LiveGeneration(
            request,
            sequence,
            prompt.length,
            maxTokens,
            request.ignoreEos() ? Set.of() : model.eosTokens(),
            text,
            listener,
            this::act,
            this::forget,
            executor::now);
    takePlace();
    final Runnable admission = () -> admit(generation);
    act(admission);
    if ((failure.isPresent() || closing) && actions.remove(admission)) {
      requireServing();
    }
    return generation;
  }

  /** Counts on the caller's thread, so that it learns at once that it is refused. */
  private void takePlace() {
    final int waiting = inEngine.getAndIncrement() - load.running();
    if (waiting >= config.maxWaiting()) {
      inEngine.decrementAndGet();
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
    if (request.id().isEmpty()) {
      throw new InvalidRequestException("id", "is empty");
    }
    request.sampling().validate();
    if (request.maxTokens().orElse(1) < 1) {
      throw new InvalidRequestException(
          "max_tokens", request.maxTokens().getAsInt() + " is less than 1");
    }
    if (request.stop().contains("")) {
      throw new InvalidRequestException("stop", "holds an empty string, which would stop at once");
    }
    final int[] ids = model.encode(request.prompt());
    if (ids.length >= model.contextLength()) {
      throw new InvalidRequestException(
          "prompt",
          "has %d tokens, but the context holds %d, of which at least 1 is for the answer"
              .formatted(ids.length, model.contextLength()));
    }
    return ids;
  }

  private static SamplingPlan planOf(final GenerationRequest request, final boolean logits) {
    final Sampling sampling = request.sampling();
    return new SamplingPlan(
        sampling.temperature(),
        sampling.topK(),
        sampling.topP(),
        sampling.seed().orElseGet(() -> seedOf(request.id())),
        0,
        0,
        logits);
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
    LockSupport.unpark(thread);
  }

  private void admit(final LiveGeneration generation) {
    live.put(generation.sequence().id(), generation);
    scheduler.add(generation.sequence());
  }

  private void forget(final LiveGeneration generation) {
    inEngine.decrementAndGet();
    observed.ended(generation.sequence().id());
    live.remove(generation.sequence().id());
    scheduler.remove(generation.sequence().id());
  }

  private void run() {
    try {
      new WarmUp(executor, model.contextLength())
          .run(config.warmUp(), () -> closing || !actions.isEmpty());
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

  private void iterate() {
    for (Runnable action = actions.poll(); action != null; action = actions.poll()) {
      action.run();
    }
    expire();
    List.copyOf(live.values()).forEach(LiveGeneration::holdUnlessAccepted);
    while (executor.accepts()) {
      final Optional<Batch> batch = scheduler.next(executor.now());
      if (batch.isEmpty()) {
        break;
      }
      final long now = executor.now();
      for (final Slice slice : batch.get().slices()) {
        live.get(slice.sequence()).scheduled(now);
      }
      observed.planned(batch.get(), scheduler, live::get);
      executor.submit(batch.get());
      batchesInFlight++;
    }
    load = scheduler.load();
    final boolean idle = batchesInFlight == 0;
    executor.await(executor.now() + IDLE_NANOS).ifPresent(this::completed);
    load = scheduler.load();
    if (idle && actions.isEmpty()) {
      LockSupport.parkNanos(this, live.isEmpty() ? Long.MAX_VALUE : IDLE_NANOS);
    }
  }

  private void expire() {
    final Instant now = Instant.now();
    live.values().stream()
        .filter(generation -> generation.deadline().filter(now::isAfter).isPresent())
        .toList()
        .forEach(generation -> generation.end(FinishReason.DEADLINE, Optional.empty()));
  }

  private void completed(final StepResult result) {
    batchesInFlight--;
    for (final StepResult.Sampled sampled : scheduler.completed(result)) {
      final LiveGeneration generation = live.get(sampled.sequence());
      sampled.logits().ifPresent(generation::promptLogits);
      generation.accept(sampled.token(), result.end());
    }
    for (final StepResult.Failure failed : result.failures()) {
      final LiveGeneration generation = live.get(failed.sequence());
      if (generation != null) {
        generation.end(FinishReason.ERROR, Optional.of(failed.message()));
      }
    }
    observed.completed(result);
  }

  private void breakDown(final Throwable cause) {
    final String reason =
        cause instanceof ExecutorFailedException ? cause.getMessage() : cause.toString();
    final EngineFailedException failed =
        new EngineFailedException("the engine broke down: " + reason, cause);
    LOG.error("engine broke down generations={} model={}", live.size(), model.name(), cause);
    failure = Optional.of(failed);
    for (Runnable action = actions.poll(); action != null; action = actions.poll()) {
      action.run();
    }
    live.values().forEach(generation -> generation.fail(failed));
    live.clear();
  }

  /** How often a generation lost its KV blocks to an older one, since the start. */
  public long preemptions() {
    return load.preemptions();
  }

  /** Whether it serves at full speed: the warm-up is over, or the first request has ended it. */
  public boolean isReady() {
    return warm.getCount() == 0 && isHealthy();
  }

  /**
   * Waits until the engine is ready.
   *
   * @return false if it is not by then, or never will be
   */
  public boolean awaitReady(final Duration timeout) throws InterruptedException {
    return warm.await(timeout.toNanos(), TimeUnit.NANOSECONDS) && isReady();
  }

  /** Whether the engine serves; once it is broken it stays so. */
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
