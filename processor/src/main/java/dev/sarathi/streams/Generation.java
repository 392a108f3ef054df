package dev.sarathi.streams;

import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.streams.internal.Fence;
import dev.sarathi.streams.internal.GenerationProcessor;
import dev.sarathi.streams.internal.JobRules;
import dev.sarathi.streams.internal.NodeState;
import dev.sarathi.streams.internal.Requests;
import dev.sarathi.streams.internal.StoreNames;
import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.IntFunction;
import java.util.function.Predicate;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.StoreBuilder;

/**
 * A node of a topology that generates text: records in, requests to a {@link GenerationEngine},
 * token or completion records out, exactly once. It fits {@code KStream.process} and {@code
 * Topology.addProcessor}, and brings its own stores.
 *
 * <pre>{@code
 * KStream<Long, Summary> out = tickets.process(
 *     Generation.<Long, Ticket>using(engine)
 *         .id((key, ticket) -> ticket.id())
 *         .request((key, ticket) -> GenerationRequest.of(ticket.id(), "Summarise: " + ticket.text()))
 *         .carrying(Serdes.Long(), ticketSerde)
 *         .completions(Summary::of)
 *         .as("summarise"));
 * }</pre>
 *
 * <p>Completions and tokens are keyed as the request's record was, have its headers, and the time
 * of emission for its timestamp. Errors are values: a request that cannot be served ends in a
 * {@link GenerationResult.Completion} that says why. What fails in a step of the node itself kills
 * the stream thread, whose transaction is aborted, whatever exception handler is configured; let it
 * be replaced.
 *
 * <p>Threading: Streams makes a processor for each task. The functions that describe the node are
 * called by all stream threads, and at the same time: keep no state in them.
 *
 * <p>The application must run with {@code processing.guarantee=exactly_once_v2}; anything else is
 * refused when the topology starts. The engine may be shared by every task and thread of the
 * process; the caller closes it, after {@code KafkaStreams}.
 *
 * @param <K> the key of the incoming records
 * @param <V> their value; a null value cancels the request that {@link Draft#cancelledBy} names
 * @param <W> the value of the outgoing records
 * @see GenerationSettings
 */
public final class Generation<K, V, W> implements ProcessorSupplier<K, V, K, W> {
  private final Supplies<K, V, W> supplies;

  private Generation(final Supplies<K, V, W> supplies) {
    this.supplies = supplies;
  }

  /**
   * Begins the description of a node.
   *
   * @param engine generates; shared by all tasks, closed by the caller after {@code KafkaStreams}
   * @param <K> the key of the incoming records
   * @param <V> their value
   * @return the description, which needs {@code id}, {@code request}, {@code carrying}, what is to
   *     be forwarded, and a name
   */
  public static <K, V> Draft<K, V> using(final GenerationEngine engine) {
    return new Draft<>(engine);
  }

  @Override
  public Processor<K, V, K, W> get() {
    return new GenerationProcessor<>(
        supplies.engine(),
        supplies.settings(),
        supplies.requests(),
        supplies.outlet(),
        supplies.names(),
        supplies.node(),
        supplies.jobs(),
        supplies.fence());
  }

  @Override
  public Set<StoreBuilder<?>> stores() {
    final Set<StoreBuilder<?>> stores =
        new HashSet<>(supplies.names().builders(supplies.settings()));
    supplies.jobs().ifPresent(_ -> stores.add(supplies.names().jobsBuilder()));
    return stores;
  }

  private record Supplies<K, V, W>(
      GenerationEngine engine,
      GenerationSettings settings,
      Requests<K, V> requests,
      Function<GenerationResult<K, V>, List<Routed<K, W>>> outlet,
      StoreNames names,
      NodeState node,
      Optional<JobRules<K, V, W>> jobs,
      Optional<Fence<K, W>> fence) {}

  /**
   * A node whose requests are being described. Every method changes the draft and returns it.
   *
   * <p>Threading: one thread.
   *
   * @param <K> the key of the incoming records
   * @param <V> their value
   */
  public static final class Draft<K, V> {
    private final GenerationEngine engine;
    private GenerationSettings settings = GenerationSettings.DEFAULT;
    private Optional<BiFunction<K, V, String>> id = Optional.empty();
    private Optional<BiFunction<K, V, GenerationRequest>> request = Optional.empty();
    private Optional<Serde<K>> keySerde = Optional.empty();
    private Optional<Serde<V>> valueSerde = Optional.empty();
    private Function<K, Optional<String>> cancelledBy = key -> Optional.empty();
    private GenerationObserver observer = GenerationObserver.NONE;

    private Draft(final GenerationEngine engine) {
      this.engine = Objects.requireNonNull(engine, "engine");
    }

    /**
     * Names the request of a record: the same id with the same content is generated once, as long
     * as {@link GenerationSettings#dedupRetention} remembers it; with other content it is rejected.
     *
     * @param function a pure function of key and value
     * @return this draft
     */
    public Draft<K, V> id(final BiFunction<K, V, String> function) {
      this.id = Optional.of(function);
      return this;
    }

    /**
     * Makes the request of a record. It must be a pure function; its result is stored, once, under
     * the id that {@link #id} gives. An {@link IllegalArgumentException} rejects the record.
     *
     * @param function a pure function of key and value
     * @return this draft
     */
    public Draft<K, V> request(final BiFunction<K, V, GenerationRequest> function) {
      this.request = Optional.of(function);
      return this;
    }

    /**
     * Keeps key and value beside the request, so that the results of a resumed one have them.
     *
     * @param key serialises keys; what it has written must stay readable as long as it is stored
     * @param value the same for values
     * @return this draft
     */
    public Draft<K, V> carrying(final Serde<K> key, final Serde<V> value) {
      this.keySerde = Optional.of(key);
      this.valueSerde = Optional.of(value);
      return this;
    }

    /**
     * Lets records with a null value cancel requests; without it they are ignored.
     *
     * @param function the id of the request that a record with this key cancels, if any
     * @return this draft
     */
    public Draft<K, V> cancelledBy(final Function<K, Optional<String>> function) {
      this.cancelledBy = function;
      return this;
    }

    /**
     * Replaces {@link GenerationSettings#DEFAULT}.
     *
     * @param value the settings
     * @return this draft
     */
    public Draft<K, V> settings(final GenerationSettings value) {
      this.settings = value;
      return this;
    }

    /**
     * Has somebody look on, for instance to measure.
     *
     * @param value is told on the stream threads
     * @return this draft
     */
    public Draft<K, V> observedBy(final GenerationObserver value) {
      this.observer = value;
      return this;
    }

    /**
     * Forwards one record for each completion, keyed as its request's record was.
     *
     * @param value makes the value of the record; a pure function
     * @param <W> that value
     * @return the node, which lacks only a name
     */
    public <W> Named<K, V, W> completions(
        final Function<GenerationResult.Completion<K, V>, W> value) {
      return results(
          result ->
              result instanceof GenerationResult.Completion<K, V> completion
                  ? List.of(
                      keyedAsOrigin(completion, completion.emittedAt(), value.apply(completion)))
                  : List.of());
    }

    /**
     * Forwards one record for each run of tokens, keyed as its request's record was.
     *
     * @param value makes the value of the record; a pure function
     * @param <W> that value
     * @return the node, which lacks only a name
     */
    public <W> Named<K, V, W> tokens(final Function<GenerationResult.Tokens<K, V>, W> value) {
      return results(
          result ->
              result instanceof GenerationResult.Tokens<K, V> tokens
                  ? List.of(keyedAsOrigin(tokens, tokens.emittedAt(), value.apply(tokens)))
                  : List.of());
    }

    /**
     * Forwards what {@code outlet} makes of each result, in order. It runs before anything of a
     * drain is forwarded, so it is the place to serialise: what fails here aborts the drain, while
     * a record that a sink cannot serialise is the production-exception handler's, and one that
     * continues loses it.
     *
     * @param outlet the records of a result, each to all child nodes or to the one that it names
     * @param <W> their value
     * @return the node, which lacks only a name
     */
    public <W> Named<K, V, W> results(
        final Function<GenerationResult<K, V>, List<Routed<K, W>>> outlet) {
      return new Named<>(this, outlet, Optional.empty(), Optional.empty());
    }

    private static <K, V, W> Routed<K, W> keyedAsOrigin(
        final GenerationResult<K, V> result, final Instant emittedAt, final W value) {
      final Origin<K, V> origin = result.origin();
      return new Routed<>(
          new Record<>(
              origin.key().orElse(null), value, emittedAt.toEpochMilli(), origin.headers()),
          Optional.empty());
    }

    private Requests<K, V> requests() {
      return new Requests<>(
          id.orElseThrow(() -> missing("id")),
          request.orElseThrow(() -> missing("request")),
          keySerde.orElseThrow(() -> missing("carrying")),
          valueSerde.orElseThrow(() -> missing("carrying")),
          cancelledBy);
    }

    private static IllegalStateException missing(final String method) {
      return new IllegalStateException(
          "a generation needs " + method + "(…) before its results are named");
    }
  }

  /**
   * A node that lacks only a name. Immutable.
   *
   * @param <K> the key of the incoming records
   * @param <V> their value
   * @param <W> the value of the outgoing records
   */
  public static final class Named<K, V, W> {
    private final Draft<K, V> draft;
    private final Function<GenerationResult<K, V>, List<Routed<K, W>>> outlet;
    private final Optional<JobRules<K, V, W>> jobs;
    private final Optional<Fence<K, W>> fence;

    private Named(
        final Draft<K, V> draft,
        final Function<GenerationResult<K, V>, List<Routed<K, W>>> outlet,
        final Optional<JobRules<K, V, W>> jobs,
        final Optional<Fence<K, W>> fence) {
      this.draft = draft;
      this.outlet = outlet;
      this.jobs = jobs;
      this.fence = fence;
    }

    /**
     * Counts requests by job, and lets a job be cancelled as a whole: with every request that is
     * unfinished, and every one that comes later, as long as finished ids are remembered.
     *
     * @param job the job that a record's request is part of; of the value that is carried
     * @param cancelled the job that a record with this key, these headers and a null value cancels
     * @param progress what is forwarded of each job that has changed, about once a second
     * @return the node, which now counts
     */
    public Named<K, V, W> jobs(
        final Function<V, Optional<String>> job,
        final BiFunction<K, Headers, Optional<String>> cancelled,
        final Function<JobProgress, List<Routed<K, W>>> progress) {
      return new Named<>(
          draft, outlet, Optional.of(new JobRules<>(job, cancelled, progress)), fence);
    }

    /**
     * Closes a gap that Kafka Streams leaves: an instance that was cut off from the brokers may
     * still commit what it generated after its tasks have moved, unless a record of their input
     * came to it since it took them up. With a fence, a task that is taken up with unfinished
     * requests sends a record to its own input, and writes nothing else before one has come.
     *
     * <p>The input has to be a topic that the node's topology reads itself and may write to, by a
     * sink that {@code record} names; what lies between source and node has to pass the record on.
     *
     * @param record makes the record for a partition of the input, routed to that sink
     * @param isFence tells such a record by its headers
     * @return the node, which now has a fence
     */
    public Named<K, V, W> fencing(
        final IntFunction<Routed<K, W>> record, final Predicate<Headers> isFence) {
      return new Named<>(draft, outlet, jobs, Optional.of(new Fence<>(record, isFence)));
    }

    /**
     * Names the stores; changing the name later abandons what they hold.
     *
     * @param name letters, digits, '.', '_' and '-'
     * @return the node, for {@code KStream.process} or {@code Topology.addProcessor}; a topology
     *     may have several, under different names
     * @throws IllegalStateException if id, request or carrying was not described
     */
    public Generation<K, V, W> as(final String name) {
      return new Generation<>(
          new Supplies<>(
              draft.engine,
              draft.settings,
              draft.requests(),
              outlet,
              new StoreNames(name),
              new NodeState(draft.observer),
              jobs,
              fence));
    }
  }
}
