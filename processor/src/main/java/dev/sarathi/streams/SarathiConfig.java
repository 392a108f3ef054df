package dev.sarathi.streams;

import static org.apache.kafka.common.config.ConfigDef.Importance.HIGH;
import static org.apache.kafka.common.config.ConfigDef.Importance.LOW;
import static org.apache.kafka.common.config.ConfigDef.Importance.MEDIUM;
import static org.apache.kafka.common.config.ConfigDef.Range.atLeast;
import static org.apache.kafka.common.config.ConfigDef.Range.between;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.schedule.Policy;
import dev.sarathi.runtime.schedule.Tenancy;
import dev.sarathi.runtime.schedule.TokenBudget;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigDef.LambdaValidator;
import org.apache.kafka.common.config.ConfigDef.NonEmptyString;
import org.apache.kafka.common.config.ConfigDef.Type;
import org.apache.kafka.common.config.ConfigDef.ValidString;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.streams.StreamsConfig;

/**
 * The configuration of a Sarathi Streams application. Settings of Kafka Streams, of its clients and
 * of the schema registry stand beside these in the same properties and are passed on.
 */
public final class SarathiConfig extends AbstractConfig {

  /** {@code sarathi.model} */
  public static final String MODEL_CONFIG = "sarathi.model";

  private static final String MODEL_DOC =
      "The folder of the model, in Hugging Face's layout: config.json, safetensors,"
          + " tokenizer.json.";

  /** {@code sarathi.preset} */
  public static final String PRESET_CONFIG = "sarathi.preset";

  private static final String PRESET_DOC =
      "Defaults for settings that are not given: <code>latency</code> drains every 2 ms and polls"
          + " as often, so that a token is visible some milliseconds after it was computed;"
          + " <code>throughput</code> drains every 200 ms into larger records and batches, and lets"
          + " more tokens wait for it.";

  /** {@code sarathi.prompts.topic} */
  public static final String PROMPTS_TOPIC_CONFIG = "sarathi.prompts.topic";

  private static final String PROMPTS_TOPIC_DOC = "The topic of the prompt requests.";

  /** {@code sarathi.tokens.topic} */
  public static final String TOKENS_TOPIC_CONFIG = "sarathi.tokens.topic";

  private static final String TOKENS_TOPIC_DOC =
      "The topic of the token records; empty to write none.";

  /** {@code sarathi.completions.topic} */
  public static final String COMPLETIONS_TOPIC_CONFIG = "sarathi.completions.topic";

  private static final String COMPLETIONS_TOPIC_DOC =
      "The topic of the completions, one record for each request; empty to write none.";

  /** {@code sarathi.jobs.topic} */
  public static final String JOBS_TOPIC_CONFIG = "sarathi.jobs.topic";

  private static final String JOBS_TOPIC_DOC =
      "The compacted topic of the jobs' progress: counts of requests and tokens by job id; empty to"
          + " count nothing, and then no job can be cancelled.";

  /** {@code sarathi.dead.letters.topic} */
  public static final String DEAD_LETTERS_TOPIC_CONFIG = "sarathi.dead.letters.topic";

  private static final String DEAD_LETTERS_TOPIC_DOC =
      "The topic of the records that are no valid request, with their original bytes and headers.";

  /** {@code sarathi.topics.partitions} */
  public static final String TOPICS_PARTITIONS_CONFIG = "sarathi.topics.partitions";

  private static final String TOPICS_PARTITIONS_DOC =
      "Partitions of the topics that the application creates because they are missing.";

  /** {@code sarathi.topics.replication.factor} */
  public static final String TOPICS_REPLICATION_FACTOR_CONFIG = "sarathi.topics.replication.factor";

  private static final String TOPICS_REPLICATION_FACTOR_DOC =
      "Replication factor of the topics that the application creates; -1 for the broker's default.";

  /** {@code sarathi.executor} */
  public static final String EXECUTOR_CONFIG = "sarathi.executor";

  private static final String EXECUTOR_DOC =
      "What computes: <code>cpu</code>, <code>cuda</code>, or <code>auto</code> for the best there"
          + " is.";

  /** {@code sarathi.scheduler} */
  public static final String SCHEDULER_CONFIG = "sarathi.scheduler";

  private static final String SCHEDULER_DOC =
      "The policy that composes each iteration. <code>stall-free</code> (Sarathi-Serve): every"
          + " running decode first, prefill chunks in what is left of the token budget."
          + " <code>prefill-first</code> (vLLM): whole prompts alone before any decode."
          + " <code>mixed</code> (Orca): all decodes and as many whole prompts as there is room"
          + " for. <code>decode-first</code> (FasterTransformer): a batch of requests is decoded to"
          + " its end before the next is begun. <code>chunked-only</code> and"
          + " <code>hybrid-only</code>: either half of stall-free, for comparison.";

  /** {@code sarathi.weights} */
  public static final String WEIGHTS_CONFIG = "sarathi.weights";

  private static final String WEIGHTS_DOC =
      "The weights in memory: <code>auto</code> for as the model's files have them,"
          + " <code>int8</code> to quantise the projections at load, in about half of the memory"
          + " that bfloat16 takes and at a small loss of quality.";

  /** {@code sarathi.prefix.cache} */
  public static final String PREFIX_CACHE_CONFIG = "sarathi.prefix.cache";

  private static final String PREFIX_CACHE_DOC =
      "Whether the KV blocks of a prompt are kept, while memory lasts, for others that begin"
          + " alike.";

  /** {@code sarathi.max.waiting} */
  public static final String MAX_WAITING_CONFIG = "sarathi.max.waiting";

  private static final String MAX_WAITING_DOC =
      "How many generations may wait in the engine, over all tasks of the process; further ones"
          + " wait in the stores.";

  /** {@code sarathi.tenant.weights} */
  public static final String TENANT_WEIGHTS_CONFIG = "sarathi.tenant.weights";

  private static final String TENANT_WEIGHTS_DOC =
      "Shares of tenants, as <code>name:weight</code>, separated by commas: one of weight 2 is"
          + " served twice the tokens of one of weight 1, which those have that are not named.";

  /** {@code sarathi.tenant.max.sequences} */
  public static final String TENANT_MAX_SEQUENCES_CONFIG = "sarathi.tenant.max.sequences";

  private static final String TENANT_MAX_SEQUENCES_DOC =
      "How many generations of one tenant may hold KV blocks at once; 0 for no such limit.";

  /** {@code sarathi.tenant.max.tokens} */
  public static final String TENANT_MAX_TOKENS_CONFIG = "sarathi.tenant.max.tokens";

  private static final String TENANT_MAX_TOKENS_DOC =
      "How many tokens, prompts and the most they may generate, the running generations of one"
          + " tenant may have together; 0 for no such limit.";

  /** {@code sarathi.trace.file} */
  public static final String TRACE_FILE_CONFIG = "sarathi.trace.file";

  private static final String TRACE_FILE_DOC =
      "Every iteration of the engine is written into this file as a JSON line, which"
          + " <code>sarathi timeline</code> draws; it grows without end. Empty for none.";

  /** {@code sarathi.token.budget} */
  public static final String TOKEN_BUDGET_CONFIG = "sarathi.token.budget";

  private static final String TOKEN_BUDGET_DOC =
      "Tokens of one iteration, decodes and prefill together. Smaller keeps the time between tokens"
          + " short, larger prefills faster. <code>auto</code> chooses it for each iteration, from"
          + " how long iterations take and from <code>sarathi.tbt.target.ms</code>.";

  /** {@code sarathi.tbt.target.ms} */
  public static final String TBT_TARGET_CONFIG = "sarathi.tbt.target.ms";

  private static final String TBT_TARGET_DOC =
      "What <code>sarathi.token.budget=auto</code> keeps the time between two tokens of a"
          + " generation within, in 99 of 100 cases, where the executor is fast enough.";

  /** {@code sarathi.max.sequences} */
  public static final String MAX_SEQUENCES_CONFIG = "sarathi.max.sequences";

  private static final String MAX_SEQUENCES_DOC =
      "How many generations may hold KV blocks at once, over all tasks of the process.";

  /** {@code sarathi.kv.memory} */
  public static final String KV_MEMORY_CONFIG = "sarathi.kv.memory";

  private static final String KV_MEMORY_DOC =
      "Bytes for the KV cache; 0 for what sixteen sequences of full context need, but at most a"
          + " quarter of the memory; on a GPU, for what all sequences need, but at most what is free.";

  /** {@code sarathi.max.context} */
  public static final String MAX_CONTEXT_CONFIG = "sarathi.max.context";

  private static final String MAX_CONTEXT_DOC =
      "The most tokens of one generation, prompt and answer together; 0 for the model's own limit.";

  /** {@code sarathi.cpu.threads} */
  public static final String CPU_THREADS_CONFIG = "sarathi.cpu.threads";

  private static final String CPU_THREADS_DOC =
      "Threads of the CPU executor; 0 for one for each processor.";

  /** {@code sarathi.cpu.kernels} */
  public static final String CPU_KERNELS_CONFIG = "sarathi.cpu.kernels";

  private static final String CPU_KERNELS_DOC =
      "The kernels of the CPU executor: <code>java</code>, whose results are the same on every"
          + " processor; <code>native</code>, compiled, faster where the processor has AVX512-BF16"
          + " and AVX512-VNNI, and refused elsewhere; <code>auto</code> for native where it can"
          + " run. Native results differ in their last bits, and so do fingerprints: choose"
          + " <code>auto</code> only where all instances have like processors.";

  /** {@code sarathi.default.max.tokens} */
  public static final String DEFAULT_MAX_TOKENS_CONFIG = "sarathi.default.max.tokens";

  private static final String DEFAULT_MAX_TOKENS_DOC =
      "The most tokens generated for a request that does not say; 0 for what the context holds.";

  /** {@code sarathi.engine.window} */
  public static final String ENGINE_WINDOW_CONFIG = "sarathi.engine.window";

  private static final String ENGINE_WINDOW_DOC =
      "How many requests of one task are in the engine at once; the rest wait in the store.";

  /** {@code sarathi.bulk.aging.ms} */
  public static final String BULK_AGING_CONFIG = "sarathi.bulk.aging.ms";

  private static final String BULK_AGING_DOC =
      "After waiting so long a bulk request is served like an interactive one.";

  /** {@code sarathi.drain.interval.ms} */
  public static final String DRAIN_INTERVAL_CONFIG = "sarathi.drain.interval.ms";

  private static final String DRAIN_INTERVAL_DOC =
      "How often tokens are forwarded and committed. Streams wakes up at most every"
          + " <code>poll.ms</code>, which therefore bounds it from below.";

  /** {@code sarathi.output.max.tokens.per.record} */
  public static final String OUTPUT_MAX_TOKENS_CONFIG = "sarathi.output.max.tokens.per.record";

  private static final String OUTPUT_MAX_TOKENS_DOC = "The most tokens in one token record.";

  /** {@code sarathi.max.uncommitted.tokens} */
  public static final String MAX_UNCOMMITTED_TOKENS_CONFIG = "sarathi.max.uncommitted.tokens";

  private static final String MAX_UNCOMMITTED_TOKENS_DOC =
      "Above so many tokens that a task has not drained, its generations pause and keep their KV.";

  /** {@code sarathi.dedup.retention.ms} */
  public static final String DEDUP_RETENTION_CONFIG = "sarathi.dedup.retention.ms";

  private static final String DEDUP_RETENTION_DOC =
      "How long the id of a finished request is remembered, so that its repetition is dropped.";

  /** {@code sarathi.max.attempts} */
  public static final String MAX_ATTEMPTS_CONFIG = "sarathi.max.attempts";

  private static final String MAX_ATTEMPTS_DOC =
      "A request that was taken up so often without a new token ends in an error: it may be what"
          + " crashes the process.";

  /** {@code sarathi.on.model.change} */
  public static final String ON_MODEL_CHANGE_CONFIG = "sarathi.on.model.change";

  private static final String ON_MODEL_CHANGE_DOC =
      "What becomes of a half-done generation when the model, its tokenizer or the numerics have"
          + " changed: <code>fail</code> ends it in an error, <code>continue</code> goes on from"
          + " the emitted tokens.";

  /** {@code sarathi.max.request.bytes} */
  public static final String MAX_REQUEST_BYTES_CONFIG = "sarathi.max.request.bytes";

  private static final String MAX_REQUEST_BYTES_DOC =
      "The most bytes of a stored request, and of what its completion may come to by several"
          + " choices and log-probabilities; a larger one is rejected. Producer and changelogs are"
          + " set above it.";

  /** {@code sarathi.store.memory} */
  public static final String STORE_MEMORY_CONFIG = StoreMemory.BYTES_CONFIG;

  private static final String STORE_MEMORY_DOC =
      "Bytes that all state stores of the process take together for block cache and write buffers,"
          + " unless <code>rocksdb.config.setter</code> is given.";

  /** {@code sarathi.startup.timeout.ms} */
  public static final String STARTUP_TIMEOUT_CONFIG = "sarathi.startup.timeout.ms";

  private static final String STARTUP_TIMEOUT_DOC =
      "How long to wait at start for the brokers and the schema registry before giving up.";

  /** {@code sarathi.http.listen} */
  public static final String HTTP_LISTEN_CONFIG = "sarathi.http.listen";

  private static final String HTTP_LISTEN_DOC =
      "Where the instance answers operators over HTTP, as <code>host:port</code>, for example"
          + " <code>127.0.0.1:8080</code>; port 0 for any that is free. It answers whoever reaches"
          + " it: a page at <code>/</code>, where prompts can be tried, and ids, keys and tenants of"
          + " requests, but not their prompts. Empty for nowhere.";

  private static final ConfigDef DEFINITION =
      new ConfigDef()
          .define(MODEL_CONFIG, Type.STRING, ConfigDef.NO_DEFAULT_VALUE, HIGH, MODEL_DOC)
          .define(
              PRESET_CONFIG,
              Type.STRING,
              "latency",
              ValidString.in("latency", "throughput"),
              HIGH,
              PRESET_DOC)
          .define(
              PROMPTS_TOPIC_CONFIG,
              Type.STRING,
              "prompts",
              new NonEmptyString(),
              HIGH,
              PROMPTS_TOPIC_DOC)
          .define(TOKENS_TOPIC_CONFIG, Type.STRING, "tokens", HIGH, TOKENS_TOPIC_DOC)
          .define(COMPLETIONS_TOPIC_CONFIG, Type.STRING, "completions", HIGH, COMPLETIONS_TOPIC_DOC)
          .define(JOBS_TOPIC_CONFIG, Type.STRING, "jobs", MEDIUM, JOBS_TOPIC_DOC)
          .define(
              DEAD_LETTERS_TOPIC_CONFIG,
              Type.STRING,
              "dead-letters",
              new NonEmptyString(),
              HIGH,
              DEAD_LETTERS_TOPIC_DOC)
          .define(
              EXECUTOR_CONFIG,
              Type.STRING,
              "auto",
              ValidString.in("auto", "cpu", "cuda"),
              HIGH,
              EXECUTOR_DOC)
          .define(
              SCHEDULER_CONFIG,
              Type.STRING,
              "stall-free",
              ValidString.in(policies()),
              HIGH,
              SCHEDULER_DOC)
          .define(
              TOKEN_BUDGET_CONFIG,
              Type.STRING,
              "512",
              LambdaValidator.with(SarathiConfig::requireBudget, () -> "auto or [16,...]"),
              HIGH,
              TOKEN_BUDGET_DOC)
          .define(
              TBT_TARGET_CONFIG,
              Type.LONG,
              TokenBudget.DEFAULT_TARGET.toMillis(),
              between(1, 3_600_000),
              MEDIUM,
              TBT_TARGET_DOC)
          .define(
              WEIGHTS_CONFIG,
              Type.STRING,
              "auto",
              ValidString.in("auto", "int8"),
              MEDIUM,
              WEIGHTS_DOC)
          .define(PREFIX_CACHE_CONFIG, Type.BOOLEAN, true, MEDIUM, PREFIX_CACHE_DOC)
          .define(MAX_WAITING_CONFIG, Type.INT, 100_000, atLeast(1), LOW, MAX_WAITING_DOC)
          .define(TENANT_WEIGHTS_CONFIG, Type.LIST, List.of(), MEDIUM, TENANT_WEIGHTS_DOC)
          .define(
              TENANT_MAX_SEQUENCES_CONFIG,
              Type.INT,
              0,
              atLeast(0),
              MEDIUM,
              TENANT_MAX_SEQUENCES_DOC)
          .define(
              TENANT_MAX_TOKENS_CONFIG, Type.LONG, 0L, atLeast(0), MEDIUM, TENANT_MAX_TOKENS_DOC)
          .define(TRACE_FILE_CONFIG, Type.STRING, "", LOW, TRACE_FILE_DOC)
          .define(MAX_SEQUENCES_CONFIG, Type.INT, 64, atLeast(1), MEDIUM, MAX_SEQUENCES_DOC)
          .define(KV_MEMORY_CONFIG, Type.LONG, 0L, atLeast(0), MEDIUM, KV_MEMORY_DOC)
          .define(MAX_CONTEXT_CONFIG, Type.INT, 0, atLeast(0), MEDIUM, MAX_CONTEXT_DOC)
          .define(CPU_THREADS_CONFIG, Type.INT, 0, atLeast(0), MEDIUM, CPU_THREADS_DOC)
          .define(
              CPU_KERNELS_CONFIG,
              Type.STRING,
              "java",
              ValidString.in("java", "native", "auto"),
              MEDIUM,
              CPU_KERNELS_DOC)
          .define(
              DEFAULT_MAX_TOKENS_CONFIG, Type.INT, 256, atLeast(0), MEDIUM, DEFAULT_MAX_TOKENS_DOC)
          .define(ENGINE_WINDOW_CONFIG, Type.INT, 64, atLeast(1), MEDIUM, ENGINE_WINDOW_DOC)
          .define(
              BULK_AGING_CONFIG,
              Type.LONG,
              30_000L,
              between(0, Duration.ofDays(3650).toMillis()),
              MEDIUM,
              BULK_AGING_DOC)
          .define(DRAIN_INTERVAL_CONFIG, Type.LONG, 2L, atLeast(1), MEDIUM, DRAIN_INTERVAL_DOC)
          .define(OUTPUT_MAX_TOKENS_CONFIG, Type.INT, 16, atLeast(1), MEDIUM, OUTPUT_MAX_TOKENS_DOC)
          .define(
              MAX_UNCOMMITTED_TOKENS_CONFIG,
              Type.INT,
              4096,
              atLeast(1),
              MEDIUM,
              MAX_UNCOMMITTED_TOKENS_DOC)
          .define(
              DEDUP_RETENTION_CONFIG,
              Type.LONG,
              86_400_000L,
              atLeast(1),
              MEDIUM,
              DEDUP_RETENTION_DOC)
          .define(MAX_ATTEMPTS_CONFIG, Type.INT, 3, atLeast(1), MEDIUM, MAX_ATTEMPTS_DOC)
          .define(
              ON_MODEL_CHANGE_CONFIG,
              Type.STRING,
              "fail",
              ValidString.in("fail", "continue"),
              MEDIUM,
              ON_MODEL_CHANGE_DOC)
          .define(
              MAX_REQUEST_BYTES_CONFIG,
              Type.INT,
              4 << 20,
              atLeast(1024),
              LOW,
              MAX_REQUEST_BYTES_DOC)
          .define(
              STORE_MEMORY_CONFIG,
              Type.LONG,
              StoreMemory.DEFAULT_BYTES,
              atLeast(16L << 20),
              MEDIUM,
              STORE_MEMORY_DOC)
          .define(TOPICS_PARTITIONS_CONFIG, Type.INT, 6, atLeast(1), LOW, TOPICS_PARTITIONS_DOC)
          .define(
              TOPICS_REPLICATION_FACTOR_CONFIG,
              Type.SHORT,
              (short) -1,
              LOW,
              TOPICS_REPLICATION_FACTOR_DOC)
          .define(HTTP_LISTEN_CONFIG, Type.STRING, "", MEDIUM, HTTP_LISTEN_DOC)
          .define(STARTUP_TIMEOUT_CONFIG, Type.LONG, 60_000L, atLeast(1), LOW, STARTUP_TIMEOUT_DOC);

  private static final Map<String, Map<String, Object>> PRESETS =
      Map.of(
          "latency",
          Map.of(
              DRAIN_INTERVAL_CONFIG,
              2L,
              OUTPUT_MAX_TOKENS_CONFIG,
              16,
              StreamsConfig.POLL_MS_CONFIG,
              2L,
              StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG),
              0,
              // A transaction that begins while the markers of the last are still being written is
              // sent away with CONCURRENT_TRANSACTIONS: the default of 100 ms is then what one
              // sees.
              StreamsConfig.producerPrefix(ProducerConfig.RETRY_BACKOFF_MS_CONFIG),
              5),
          "throughput",
          Map.of(
              DRAIN_INTERVAL_CONFIG,
              200L,
              OUTPUT_MAX_TOKENS_CONFIG,
              256,
              MAX_UNCOMMITTED_TOKENS_CONFIG,
              32_768,
              // Where no records come, a turn that is due waits for the end of the poll.
              StreamsConfig.POLL_MS_CONFIG,
              10L,
              StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG),
              50));

  private static final String CREDENTIALS_SOURCE = "basic.auth.credentials.source";

  /** What an address may begin with: a user and a password. */
  private static final Pattern USER_INFO = Pattern.compile("(?<=://)([^/\\s,]+)@");

  private SarathiConfig(final Map<String, ?> properties) {
    super(DEFINITION, properties, false);
  }

  /**
   * Reads a configuration and completes it from its preset. With {@code config.providers}, values
   * may refer to what those have, as Kafka's own settings may.
   *
   * @param given settings of this class, of Kafka Streams, and of the registry
   * @return the configuration; what is not this class's is kept for whom it is for
   * @throws ConfigException naming the setting, its value and what would be valid
   */
  public static SarathiConfig of(final Map<String, ?> given) {
    final Map<String, Object> properties = resolved(given);
    for (final String name : properties.keySet()) {
      // A misspelt setting that is silently ignored costs somebody a night.
      if (name.startsWith("sarathi.") && !DEFINITION.names().contains(name)) {
        throw new ConfigException(name + " is not a setting of Sarathi Streams");
      }
    }
    final Object preset =
        properties.containsKey(PRESET_CONFIG) ? properties.get(PRESET_CONFIG) : "latency";
    final Map<String, Object> completed = new HashMap<>(PRESETS.getOrDefault(preset, Map.of()));
    completed.putAll(properties);
    takeCredentialsOutOfTheAddress(completed);
    // A number in a map is as good as its digits in a file.
    completed.computeIfPresent(TOKEN_BUDGET_CONFIG, (name, value) -> value.toString());
    final SarathiConfig config = new SarathiConfig(completed);
    if (config.getString(TOKENS_TOPIC_CONFIG).isEmpty()
        && config.getString(COMPLETIONS_TOPIC_CONFIG).isEmpty()) {
      throw new ConfigException(
          TOKENS_TOPIC_CONFIG
              + " and "
              + COMPLETIONS_TOPIC_CONFIG
              + " are both empty: nothing would be written; valid is a topic for one of them");
    }
    for (final String output :
        List.of(
            TOKENS_TOPIC_CONFIG,
            COMPLETIONS_TOPIC_CONFIG,
            JOBS_TOPIC_CONFIG,
            DEAD_LETTERS_TOPIC_CONFIG)) {
      if (config.getString(output).equals(config.getString(PROMPTS_TOPIC_CONFIG))) {
        throw new ConfigException(
            output, config.getString(output), "is also the topic of the prompts");
      }
    }
    return config;
  }

  /**
   * The registry's client logs its address, and takes a user and a password in a setting as well.
   * Addresses with different ones stay as they are: there is but one such setting.
   */
  private static void takeCredentialsOutOfTheAddress(final Map<String, Object> settings) {
    if (!(settings.get("schema.registry.url") instanceof String addresses)) {
      return;
    }
    if (!settings.getOrDefault(CREDENTIALS_SOURCE, "URL").equals("URL")) {
      // Who logs in is said elsewhere; the client does not use those of the address.
      settings.put("schema.registry.url", USER_INFO.matcher(addresses).replaceAll(""));
      return;
    }
    final List<String> users =
        USER_INFO.matcher(addresses).results().map(user -> user.group(1)).toList();
    if (users.size() == addresses.split(",").length && Set.copyOf(users).size() == 1) {
      settings.put("schema.registry.url", USER_INFO.matcher(addresses).replaceAll(""));
      settings.put(CREDENTIALS_SOURCE, "USER_INFO");
      settings.put(
          "basic.auth.user.info",
          URLDecoder.decode(users.getFirst().replace("+", "%2B"), StandardCharsets.UTF_8));
    }
  }

  private static Map<String, Object> resolved(final Map<String, ?> given) {
    final Map<String, Object> resolved =
        new HashMap<>(new AbstractConfig(new ConfigDef(), given, false).originals());
    final Object providers = given.get(AbstractConfig.CONFIG_PROVIDERS_CONFIG);
    if (providers == null) {
      return resolved;
    }
    final Pattern reference =
        Pattern.compile(
            "\\$\\{(%s):[^}]*}".formatted(providers.toString().replaceAll("\\s*,\\s*", "|")));
    given.forEach(
        (name, value) -> {
          // Kafka leaves what it does not find as it is, and "${env:PASSWORD}" is no password. What
          // stands beside it may be one, and is not told.
          final Matcher left = reference.matcher(String.valueOf(resolved.get(name)));
          while (left.find()) {
            if (value.toString().contains(left.group())) {
              throw new ConfigException(
                  name + " refers to " + left.group() + ", which is not there");
            }
          }
        });
    // What a secret looks like must not matter to those who get these settings.
    resolved.keySet().removeIf(name -> name.startsWith(AbstractConfig.CONFIG_PROVIDERS_CONFIG));
    return resolved;
  }

  /** {@return the definition, for documentation and tools} */
  public static ConfigDef definition() {
    return new ConfigDef(DEFINITION);
  }

  /** {@return how the engine is built} */
  public EngineConfig engine() {
    EngineConfig engine =
        EngineConfig.of(Path.of(getString(MODEL_CONFIG)))
            .withExecutor(getString(EXECUTOR_CONFIG))
            .withPolicy(getString(SCHEDULER_CONFIG))
            .withWeights(getString(WEIGHTS_CONFIG))
            .withKernels(getString(CPU_KERNELS_CONFIG))
            .withPrefixCache(getBoolean(PREFIX_CACHE_CONFIG))
            .withMaxWaiting(getInt(MAX_WAITING_CONFIG))
            .withTenancy(tenancy())
            .withTokenBudget(TokenBudget.parse(getString(TOKEN_BUDGET_CONFIG), tbtTarget()))
            .withMaxSequences(getInt(MAX_SEQUENCES_CONFIG))
            .withBulkAging(Duration.ofMillis(getLong(BULK_AGING_CONFIG)));
    if (getLong(KV_MEMORY_CONFIG) > 0) {
      engine = engine.withKvMemory(getLong(KV_MEMORY_CONFIG));
    }
    if (getInt(MAX_CONTEXT_CONFIG) > 0) {
      engine = engine.withMaxContext(getInt(MAX_CONTEXT_CONFIG));
    }
    if (getInt(CPU_THREADS_CONFIG) > 0) {
      engine = engine.withThreads(getInt(CPU_THREADS_CONFIG));
    }
    return engine;
  }

  private static void requireBudget(final String name, final Object value) {
    try {
      TokenBudget.parse((String) value, TokenBudget.DEFAULT_TARGET);
    } catch (final IllegalArgumentException e) {
      throw new ConfigException(name, value, e.getMessage());
    }
  }

  private static String[] policies() {
    return Arrays.stream(Policy.values()).map(Policy::toString).toArray(String[]::new);
  }

  private Tenancy tenancy() {
    Tenancy tenancy = Tenancy.EQUAL;
    if (getInt(TENANT_MAX_SEQUENCES_CONFIG) > 0) {
      tenancy = tenancy.withMaxRunning(getInt(TENANT_MAX_SEQUENCES_CONFIG));
    }
    if (getLong(TENANT_MAX_TOKENS_CONFIG) > 0) {
      tenancy = tenancy.withMaxTokens(getLong(TENANT_MAX_TOKENS_CONFIG));
    }
    final Map<String, Double> weights = new HashMap<>();
    for (final String share : getList(TENANT_WEIGHTS_CONFIG)) {
      final int colon = share.lastIndexOf(':');
      try {
        weights.put(
            share.substring(0, Math.max(0, colon)), Double.valueOf(share.substring(colon + 1)));
        tenancy = tenancy.withWeights(weights);
      } catch (final IllegalArgumentException e) {
        throw new ConfigException(
            TENANT_WEIGHTS_CONFIG, share, "valid is name:weight, the weight a number above 0");
      }
    }
    return tenancy;
  }

  /** {@return the longest gap between two tokens that is none too long} */
  public Duration tbtTarget() {
    return Duration.ofMillis(getLong(TBT_TARGET_CONFIG));
  }

  /** {@return where iterations are written, if they are} */
  public Optional<Path> traceFile() {
    return Optional.of(getString(TRACE_FILE_CONFIG)).filter(file -> !file.isEmpty()).map(Path::of);
  }

  /** {@return where HTTP is answered, if it is} */
  public Optional<String> httpListen() {
    return Optional.of(getString(HTTP_LISTEN_CONFIG)).filter(listen -> !listen.isEmpty());
  }

  /** {@return how requests are treated} */
  public GenerationSettings generation() {
    return new GenerationSettings(
        getInt(ENGINE_WINDOW_CONFIG),
        getInt(MAX_UNCOMMITTED_TOKENS_CONFIG),
        getInt(OUTPUT_MAX_TOKENS_CONFIG),
        Duration.ofMillis(getLong(DRAIN_INTERVAL_CONFIG)),
        Duration.ofMillis(getLong(DEDUP_RETENTION_CONFIG)),
        getInt(MAX_ATTEMPTS_CONFIG),
        ModelChange.valueOf(getString(ON_MODEL_CHANGE_CONFIG).toUpperCase(Locale.ROOT)),
        Duration.ofMillis(getLong(BULK_AGING_CONFIG)),
        getInt(MAX_REQUEST_BYTES_CONFIG));
  }

  /** {@return the largest record, in bytes, that the topics of the application take} */
  public int largestRecordBytes() {
    return getInt(MAX_REQUEST_BYTES_CONFIG) + (1 << 20);
  }

  /**
   * The configuration of Kafka Streams: what was given, with {@code exactly_once_v2}, and with
   * limits that let every admissible request through.
   *
   * @return settings for {@link StreamsConfig}; the caller may change them
   * @throws ConfigException if another processing guarantee was asked for
   */
  public Map<String, Object> streams() {
    final Map<String, Object> streams = new HashMap<>(originals());
    streams.keySet().removeIf(name -> name.startsWith("sarathi."));
    final Object guarantee =
        streams.putIfAbsent(
            StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    if (guarantee != null && !StreamsConfig.EXACTLY_ONCE_V2.equals(guarantee)) {
      throw new ConfigException(
          StreamsConfig.PROCESSING_GUARANTEE_CONFIG,
          guarantee,
          "valid is " + StreamsConfig.EXACTLY_ONCE_V2);
    }
    streams.putIfAbsent(
        StreamsConfig.producerPrefix(ProducerConfig.MAX_REQUEST_SIZE_CONFIG), largestRecordBytes());
    if (streams.putIfAbsent(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, StoreMemory.class)
        == null) {
      streams.put(STORE_MEMORY_CONFIG, getLong(STORE_MEMORY_CONFIG));
    }
    // Ours are the retries; those of the registry's client, a minute each, would hold up a thread.
    streams.putIfAbsent("max.retries", 0);
    streams.putIfAbsent("http.connect.timeout.ms", 2_000);
    streams.putIfAbsent("http.read.timeout.ms", 5_000);
    streams.putIfAbsent(StreamsConfig.ENSURE_EXPLICIT_INTERNAL_RESOURCE_NAMING_CONFIG, true);
    return streams;
  }

  /**
   * The configuration of clients that work beside the application, without being members of its
   * group: what was given for brokers, security and registry.
   *
   * @return settings; the caller may change them
   */
  public Map<String, Object> clients() {
    final Map<String, Object> clients = new HashMap<>(originals());
    clients
        .keySet()
        .removeIf(
            name ->
                name.startsWith("sarathi.")
                    || name.equals(CommonClientConfigs.CLIENT_ID_CONFIG)
                    || name.equals(CommonClientConfigs.GROUP_INSTANCE_ID_CONFIG)
                    || name.equals(ConsumerConfig.GROUP_PROTOCOL_CONFIG));
    return clients;
  }
}
