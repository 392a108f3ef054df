package dev.sarathi.streams.metrics;

import java.util.List;
import java.util.Optional;

/**
 * Every meter, in the order of the reference. Names that vLLM has too mean what they mean there,
 * and have its buckets, with finer ones in front for models that are faster.
 */
public enum Metric {
  TIME_TO_FIRST_TOKEN(
      "sarathi.time.to.first.token",
      Type.HISTOGRAM,
      "seconds",
      "Time from handing a request to the engine to its first token; of a resumed one, to its first"
          + " new token. Waiting in the store comes before it",
      Buckets.FIRST_TOKEN),
  INTER_TOKEN_LATENCY(
      "sarathi.inter.token.latency",
      Type.HISTOGRAM,
      "seconds",
      "Time between two tokens of a running generation (TBT), pauses included",
      Buckets.BETWEEN_TOKENS),
  E2E_REQUEST_LATENCY(
      "sarathi.e2e.request.latency",
      Type.HISTOGRAM,
      "seconds",
      "Time from handing a request to the engine to its last token",
      Buckets.REQUEST),
  REQUEST_QUEUE_TIME(
      "sarathi.request.queue.time",
      Type.HISTOGRAM,
      "seconds",
      "Time from handing a request to the engine to its first chunk being scheduled",
      Buckets.REQUEST),
  REQUEST_LONGEST_GAP(
      "sarathi.request.longest.gap",
      Type.HISTOGRAM,
      "seconds",
      "Longest time between two tokens of a generation that has ended: its worst stall",
      Buckets.BETWEEN_TOKENS),
  DECODE_STALLS(
      "sarathi.decode.stalls",
      Type.COUNTER,
      "",
      "Gaps between two tokens that were longer than sarathi.tbt.target.ms"),
  TBT_TARGET(
      "sarathi.tbt.target", Type.GAUGE, "seconds", "The setting sarathi.tbt.target.ms in force"),
  ITERATION_DURATION(
      "sarathi.iteration.duration",
      Type.HISTOGRAM,
      "seconds",
      "Time that the executor took for a batch",
      Buckets.BETWEEN_TOKENS),
  ITERATION_TOKENS(
      "sarathi.iteration.tokens",
      Type.HISTOGRAM,
      "",
      "Tokens computed in a batch, of prompts and decodes",
      Buckets.TOKENS),
  PROMPT_TOKENS(
      "sarathi.prompt.tokens",
      Type.COUNTER,
      "",
      "Prompt tokens of generations whose prefill began, those from the prefix cache included"),
  GENERATION_TOKENS("sarathi.generation.tokens", Type.COUNTER, "", "Tokens generated"),
  NUM_REQUESTS_RUNNING(
      "sarathi.num.requests.running", Type.GAUGE, "", "Sequences that hold KV blocks"),
  NUM_REQUESTS_WAITING(
      "sarathi.num.requests.waiting",
      Type.GAUGE,
      "",
      "Sequences in the engine that are not admitted yet, or preempted"),
  KV_CACHE_USAGE_PERC(
      "sarathi.kv.cache.usage.perc",
      Type.GAUGE,
      "",
      "Share of the KV blocks that sequences hold; 1 is all of them"),
  NUM_PREEMPTIONS(
      "sarathi.num.preemptions",
      Type.COUNTER,
      "",
      "Sequences that lost their KV blocks to an older one and are computed again"),
  PREFIX_CACHE_QUERIES(
      "sarathi.prefix.cache.queries",
      Type.COUNTER,
      "",
      "Tokens for which the prefix cache was asked"),
  PREFIX_CACHE_HITS(
      "sarathi.prefix.cache.hits", Type.COUNTER, "", "Tokens taken from the prefix cache"),
  ENGINE_HEALTHY(
      "sarathi.engine.healthy", Type.GAUGE, "", "1 while the engine serves, 0 once it is broken"),
  EMISSION_TO_COMMIT(
      "sarathi.emission.to.commit",
      Type.HISTOGRAM,
      "seconds",
      "Time from the engine's emission of a token to the first turn of its task after the commit:"
          + " until readers could see it, and then as a rule one drain interval more; of the tokens"
          + " of a request in one commit, that of the first",
      Buckets.FIRST_TOKEN),
  PROMPT_TO_COMPLETION(
      "sarathi.prompt.to.completion",
      Type.HISTOGRAM,
      "seconds",
      "Time from a prompt's timestamp to its end being written: waiting in topic and store"
          + " included",
      Buckets.REQUEST),
  REQUEST_SUCCESS(
      "sarathi.request.success",
      Type.COUNTER,
      "",
      "Stored requests that ended, by the reason",
      List.of("finished_reason", "task")),
  BACKLOG(
      "sarathi.backlog.requests",
      Type.GAUGE,
      "",
      "Requests that wait in a task's store, outside the window",
      new Sensor("waiting")),
  BACKLOG_AGE(
      "sarathi.backlog.age",
      Type.GAUGE,
      "seconds",
      "How long the first of them has been waiting; a bulk request that is first, longer by"
          + " sarathi.bulk.aging.ms",
      new Sensor("waiting-oldest-ms")),
  REQUESTS_RESUMED(
      "sarathi.requests.resumed",
      Type.COUNTER,
      "",
      "Requests taken up again with tokens emitted before",
      new Sensor("resumed-total")),
  RECOMPUTED_TOKENS(
      "sarathi.recomputed.tokens",
      Type.COUNTER,
      "",
      "Tokens computed again for them: their prompts, and what they had emitted",
      new Sensor("recomputed-tokens-total")),
  STALE_TOKENS(
      "sarathi.stale.tokens",
      Type.COUNTER,
      "",
      "Tokens that came from the engine for an incarnation that was over, and were dropped",
      new Sensor("stale-tokens-total")),
  DUPLICATES(
      "sarathi.duplicates",
      Type.COUNTER,
      "",
      "Requests dropped since the same one was there before",
      new Sensor("duplicates-total")),
  DEAD_LETTERS(
      "sarathi.dead.letters",
      Type.COUNTER,
      "",
      "Records written to the dead letters: rejected as invalid requests, or undecodable",
      List.of("reason", "task")),
  STREAMS_RUNNING(
      "sarathi.streams.running",
      Type.GAUGE,
      "",
      "1 while every task of the instance is assigned and restored, 0 else"),
  COMMIT_LATENCY_AVG(
      "sarathi.commit.latency.avg",
      Type.GAUGE,
      "seconds",
      "How long a stream thread's commits took on average, over the last 30 to 60 s",
      List.of("thread")),
  COMMIT_LATENCY_MAX(
      "sarathi.commit.latency.max",
      Type.GAUGE,
      "seconds",
      "How long the longest of them took",
      List.of("thread")),
  INPUT_LAG(
      "sarathi.input.lag.records",
      Type.GAUGE,
      "",
      "Prompt records of an assigned partition not read yet",
      List.of("topic", "partition")),
  REBALANCES(
      "sarathi.rebalances",
      Type.COUNTER,
      "",
      "Rebalances that a stream thread has taken part in",
      List.of("thread"));

  /** What Prometheus takes a meter for. */
  public enum Type {
    HISTOGRAM,
    COUNTER,
    GAUGE
  }

  /** A sensor of the processor in Streams' registry, which the meter tells the value of. */
  record Sensor(String name) {}

  private static final class Buckets {
    private static final double[] FIRST_TOKEN = {
      0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40,
      80, 160, 640, 2560
    };
    private static final double[] BETWEEN_TOKENS = {
      0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5,
      5, 7.5, 10, 20, 40, 80
    };
    private static final double[] REQUEST = {
      0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480,
      960, 1920, 7680
    };
    private static final double[] TOKENS = {
      1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384
    };
    private static final double[] NONE = {};
  }

  private final String meterName;
  private final Type type;
  private final String unit;
  private final String help;
  private final double[] buckets;
  private final List<String> labels;
  private final Optional<Sensor> sensor;

  Metric(final String meterName, final Type type, final String unit, final String help) {
    this(meterName, type, unit, help, Buckets.NONE, List.of(), Optional.empty());
  }

  Metric(
      final String meterName,
      final Type type,
      final String unit,
      final String help,
      final double[] buckets) {
    this(meterName, type, unit, help, buckets, List.of(), Optional.empty());
  }

  Metric(
      final String meterName,
      final Type type,
      final String unit,
      final String help,
      final List<String> labels) {
    this(meterName, type, unit, help, Buckets.NONE, labels, Optional.empty());
  }

  Metric(
      final String meterName,
      final Type type,
      final String unit,
      final String help,
      final Sensor sensor) {
    this(meterName, type, unit, help, Buckets.NONE, List.of("task"), Optional.of(sensor));
  }

  Metric(
      final String meterName,
      final Type type,
      final String unit,
      final String help,
      final double[] buckets,
      final List<String> labels,
      final Optional<Sensor> sensor) {
    this.meterName = meterName;
    this.type = type;
    this.unit = unit;
    this.help = help;
    this.buckets = buckets;
    this.labels = labels;
    this.sensor = sensor;
  }

  /** Its name in Micrometer. */
  public String meterName() {
    return meterName;
  }

  /** Its name in Prometheus; a histogram's series have a suffix after it. */
  public String prometheusName() {
    return meterName.replace('.', '_')
        + (unit.isEmpty() ? "" : "_" + unit)
        + (type == Type.COUNTER ? "_total" : "");
  }

  public Type type() {
    return type;
  }

  /** The base unit; empty for a number of things. */
  public String unit() {
    return unit;
  }

  public String help() {
    return help;
  }

  /** Its labels besides {@code model_name}. */
  public List<String> labels() {
    return labels;
  }

  /** The upper bounds of a histogram's buckets, in its unit. */
  public double[] buckets() {
    return buckets.clone();
  }

  /** The sensor in Streams' registry that it tells the value of, if it does. */
  public Optional<String> sensor() {
    return sensor.map(Sensor::name);
  }
}
