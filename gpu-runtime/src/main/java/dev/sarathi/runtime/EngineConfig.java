package dev.sarathi.runtime;

import dev.sarathi.runtime.schedule.Policy;
import dev.sarathi.runtime.schedule.Tenancy;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.nio.file.Path;
import java.time.Duration;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.function.Consumer;

/**
 * How an engine is built.
 *
 * @param model a folder in Hugging Face's layout: config.json, safetensors, tokenizer.json
 * @param executor {@code auto}, {@code cpu} or {@code cuda}
 * @param weights {@code auto} for as stored, or {@code int8} to quantise the projections when they
 *     are loaded: about half of the memory that bfloat16 takes, at a small loss of quality
 * @param kernels the CPU executor's: {@code java}, the same bits on every processor, {@code
 *     native}, faster on those with dot products, or {@code auto} for native where it can run
 * @param policy the scheduler's policy, the name of a {@link Policy}
 * @param tokenBudget tokens of one iteration, prefill and decodes together; decodes are never cut
 * @param maxSequences how many generations may hold KV blocks at once
 * @param kvMemory bytes for the KV cache; when absent, what sixteen sequences of full context need,
 *     but at most a quarter of the machine's or container's memory; on a GPU, what all sequences
 *     need, but at most what is free
 * @param maxContext limits the context, prompt and generated tokens together; when absent, the
 *     model's own
 * @param threads CPU executor threads; when absent, one for each processor
 * @param bulkAging after this long a bulk request is served like an interactive one
 * @param prefixCache whether the KV blocks of a prompt are kept for others that begin alike;
 *     without, only the choices of one request share them
 * @param tenancy how tenants share the engine
 * @param maxWaiting how many generations may wait for their first KV blocks; more are refused
 * @param warmUp for at most so long, and only until the first request comes, the executor is warmed
 *     up; zero for not at all
 */
public record EngineConfig(
    Path model,
    String executor,
    String weights,
    String kernels,
    String policy,
    TokenBudget tokenBudget,
    int maxSequences,
    OptionalLong kvMemory,
    OptionalInt maxContext,
    OptionalInt threads,
    Duration bulkAging,
    boolean prefixCache,
    Tenancy tenancy,
    int maxWaiting,
    Duration warmUp) {

  /** Added to a clock in nanoseconds, a longer one might overflow. */
  private static final Duration LONGEST_AGING = Duration.ofDays(36_500);

  /**
   * Checks the settings.
   *
   * @throws IllegalArgumentException if one is impossible; the message says what would be valid
   */
  public EngineConfig {
    require(
        executor.equals("auto") || executor.equals("cpu") || executor.equals("cuda"),
        "executor",
        executor,
        "auto, cpu or cuda");
    require(weights.equals("auto") || weights.equals("int8"), "weights", weights, "auto or int8");
    require(
        kernels.equals("java") || kernels.equals("native") || kernels.equals("auto"),
        "kernels",
        kernels,
        "java, native or auto");
    Policy.named(policy);
    tokenBudget.sensible();
    require(maxSequences >= 1, "max sequences", maxSequences, "1 or more");
    require(kvMemory.orElse(1) > 0, "KV memory", kvMemory.orElse(1), "a positive number of bytes");
    require(maxContext.orElse(2) >= 2, "max context", maxContext.orElse(2), "2 tokens or more");
    require(threads.orElse(1) >= 1, "threads", threads.orElse(1), "1 or more");
    require(
        !bulkAging.isNegative() && bulkAging.compareTo(LONGEST_AGING) <= 0,
        "bulk aging",
        bulkAging,
        "zero to " + LONGEST_AGING);
    require(maxWaiting >= 1, "max waiting", maxWaiting, "1 or more");
    require(!warmUp.isNegative(), "warm-up", warmUp, "zero or longer");
  }

  /**
   * The defaults for a model.
   *
   * @param model a folder in Hugging Face's layout
   * @return a configuration, to be changed by the methods that begin with {@code with}
   */
  public static EngineConfig of(final Path model) {
    return new EngineConfig(
        model,
        "auto",
        "auto",
        "java",
        "stall-free",
        TokenBudget.of(TokenBudget.DEFAULT_TOKENS),
        64,
        OptionalLong.empty(),
        OptionalInt.empty(),
        OptionalInt.empty(),
        Duration.ofSeconds(30),
        true,
        Tenancy.EQUAL,
        100_000,
        Duration.ofSeconds(3));
  }

  /** {@return the last part of the model's path} */
  public String modelName() {
    return String.valueOf(model.toAbsolutePath().normalize().getFileName());
  }

  /**
   * Chooses the executor.
   *
   * @param value {@code auto}, {@code cpu} or {@code cuda}
   * @return a changed copy
   * @throws IllegalArgumentException if it is not valid
   */
  public EngineConfig withExecutor(final String value) {
    return changed(draft -> draft.executor = value);
  }

  /**
   * Chooses the weights' format.
   *
   * @param value {@code auto} or {@code int8}
   * @return a changed copy
   * @throws IllegalArgumentException if it is not valid
   */
  public EngineConfig withWeights(final String value) {
    return changed(draft -> draft.weights = value);
  }

  /**
   * Chooses the kernels of the CPU executor.
   *
   * @param value {@code java}, {@code native} or {@code auto}
   * @return a changed copy
   * @throws IllegalArgumentException if it is not valid
   */
  public EngineConfig withKernels(final String value) {
    return changed(draft -> draft.kernels = value);
  }

  /**
   * Chooses the policy.
   *
   * @param value the name of a {@link Policy}
   * @return a changed copy
   * @throws IllegalArgumentException if it is not valid
   */
  public EngineConfig withPolicy(final String value) {
    return changed(draft -> draft.policy = value);
  }

  /**
   * Sets the same number of tokens for every iteration.
   *
   * @param tokens 16 or more
   * @return a changed copy
   * @throws IllegalArgumentException if it is not valid
   */
  public EngineConfig withTokenBudget(final int tokens) {
    return withTokenBudget(TokenBudget.of(tokens));
  }

  /**
   * Sets the tokens of an iteration.
   *
   * @param value a fixed number, or one that adapts
   * @return a changed copy
   * @throws IllegalArgumentException if it is not valid
   */
  public EngineConfig withTokenBudget(final TokenBudget value) {
    return changed(draft -> draft.tokenBudget = value);
  }

  /**
   * Sets how many generations may hold KV blocks at once.
   *
   * @param value 1 or more
   * @return a changed copy
   * @throws IllegalArgumentException if it is not valid
   */
  public EngineConfig withMaxSequences(final int value) {
    return changed(draft -> draft.maxSequences = value);
  }

  /**
   * Sets the memory of the KV cache.
   *
   * @param value bytes; enough for one sequence of full context
   * @return a changed copy
   * @throws IllegalArgumentException if it is not valid
   */
  public EngineConfig withKvMemory(final long value) {
    return changed(draft -> draft.kvMemory = OptionalLong.of(value));
  }

  /**
   * Limits the context.
   *
   * @param value tokens, 2 or more
   * @return a changed copy
   * @throws IllegalArgumentException if it is not valid
   */
  public EngineConfig withMaxContext(final int value) {
    return changed(draft -> draft.maxContext = OptionalInt.of(value));
  }

  /**
   * Sets the threads of the CPU executor; with several engines in a process, share the processors
   * out.
   *
   * @param value 1 or more
   * @return a changed copy
   * @throws IllegalArgumentException if it is not valid
   */
  public EngineConfig withThreads(final int value) {
    return changed(draft -> draft.threads = OptionalInt.of(value));
  }

  /**
   * Sets when a bulk request is served like an interactive one.
   *
   * @param value zero or longer
   * @return a changed copy
   * @throws IllegalArgumentException if it is not valid
   */
  public EngineConfig withBulkAging(final Duration value) {
    return changed(draft -> draft.bulkAging = value);
  }

  /**
   * Turns the prefix cache on or off.
   *
   * @param value whether it is on
   * @return a changed copy
   * @throws IllegalArgumentException if it is not valid
   */
  public EngineConfig withPrefixCache(final boolean value) {
    return changed(draft -> draft.prefixCache = value);
  }

  /**
   * Sets how tenants share the engine.
   *
   * @param value their shares and caps
   * @return a changed copy
   * @throws IllegalArgumentException if it is not valid
   */
  public EngineConfig withTenancy(final Tenancy value) {
    return changed(draft -> draft.tenancy = value);
  }

  /**
   * Sets how many generations may wait for their first KV blocks.
   *
   * @param value 1 or more
   * @return a changed copy
   * @throws IllegalArgumentException if it is not valid
   */
  public EngineConfig withMaxWaiting(final int value) {
    return changed(draft -> draft.maxWaiting = value);
  }

  /**
   * Sets how long the warm-up may take.
   *
   * @param value zero for none
   * @return a changed copy
   * @throws IllegalArgumentException if it is not valid
   */
  public EngineConfig withWarmUp(final Duration value) {
    return changed(draft -> draft.warmUp = value);
  }

  private EngineConfig changed(final Consumer<Draft> change) {
    final Draft draft = new Draft(this);
    change.accept(draft);
    return draft.config();
  }

  /** A configuration of which one value is being changed. */
  private static final class Draft {
    private final Path model;
    private String executor;
    private String weights;
    private String kernels;
    private String policy;
    private TokenBudget tokenBudget;
    private int maxSequences;
    private OptionalLong kvMemory;
    private OptionalInt maxContext;
    private OptionalInt threads;
    private Duration bulkAging;
    private boolean prefixCache;
    private Tenancy tenancy;
    private int maxWaiting;
    private Duration warmUp;

    private Draft(final EngineConfig from) {
      model = from.model;
      executor = from.executor;
      weights = from.weights;
      kernels = from.kernels;
      policy = from.policy;
      tokenBudget = from.tokenBudget;
      maxSequences = from.maxSequences;
      kvMemory = from.kvMemory;
      maxContext = from.maxContext;
      threads = from.threads;
      bulkAging = from.bulkAging;
      prefixCache = from.prefixCache;
      tenancy = from.tenancy;
      maxWaiting = from.maxWaiting;
      warmUp = from.warmUp;
    }

    private EngineConfig config() {
      return new EngineConfig(
          model,
          executor,
          weights,
          kernels,
          policy,
          tokenBudget,
          maxSequences,
          kvMemory,
          maxContext,
          threads,
          bulkAging,
          prefixCache,
          tenancy,
          maxWaiting,
          warmUp);
    }
  }

  private static void require(
      final boolean valid, final String setting, final Object value, final String wanted) {
    if (!valid) {
      throw new IllegalArgumentException(setting + " is " + value + "; valid is " + wanted);
    }
  }
}
