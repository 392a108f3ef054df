package dev.sarathi.streams.application;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.IterationObserver;
import dev.sarathi.runtime.trace.TraceWriter;
import dev.sarathi.streams.RequestQueries;
import dev.sarathi.streams.SarathiConfig;
import dev.sarathi.streams.http.HttpEndpoint;
import dev.sarathi.streams.http.InstanceRoutes;
import dev.sarathi.streams.http.IterationHistory;
import dev.sarathi.streams.http.MetricsRoutes;
import dev.sarathi.streams.http.PageRoutes;
import dev.sarathi.streams.http.Router;
import dev.sarathi.streams.metrics.ApplicationMetrics;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.CloseOptions.GroupMembershipOperation;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KafkaStreams.State;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A Sarathi Streams application in this process: an engine, a topology around it, and the threads
 * that run it.
 *
 * <p>Threading: {@link #close} may be called from any thread, more than once.
 */
public final class Application implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Application.class);

  /** Within an orchestrator's usual ten seconds between SIGTERM and SIGKILL. */
  private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(8);

  /** A thread that fails at once after its replacement must not spin. */
  private static final long REPLACEMENT_PAUSE_MILLIS = 500;

  private static final Duration RETRY_PAUSE = Duration.ofSeconds(1);

  private final GenerationEngine engine;
  private final Optional<TraceWriter> trace;
  private final KafkaStreams streams;
  private final Optional<HttpEndpoint> http;
  private final LocalState localState;
  private final GroupMembershipOperation atClose;
  private final CountDownLatch stopped = new CountDownLatch(1);

  private Application(
      final GenerationEngine engine,
      final Optional<TraceWriter> trace,
      final KafkaStreams streams,
      final Optional<HttpEndpoint> http,
      final LocalState localState,
      final GroupMembershipOperation atClose) {
    this.engine = engine;
    this.trace = trace;
    this.streams = streams;
    this.http = http;
    this.localState = localState;
    this.atClose = atClose;
  }

  /**
   * Starts an application: makes the topics ready, finds the schemas, loads the model, which may
   * take minutes, and runs.
   *
   * @param properties settings of {@link SarathiConfig}, of Kafka Streams, and of the registry
   * @throws ConfigException naming a setting, its value and what would be valid
   * @throws IllegalStateException if brokers or registry cannot be reached
   */
  public static Application start(final Map<String, ?> properties) {
    return start(
        properties,
        (config, observers) ->
            observers.isEmpty()
                ? GenerationEngine.start(config)
                : GenerationEngine.start(config, IterationObserver.all(observers)));
  }

  /** How the engine is started; another than the usual one stands in for a model. */
  interface EngineStart {
    GenerationEngine start(EngineConfig config, List<IterationObserver> observers);
  }

  static Application start(final Map<String, ?> properties, final EngineStart engineStart) {
    final SarathiConfig config = SarathiConfig.of(properties);
    final Map<String, Object> client = config.streams();
    for (final String required :
        new String[] {
          CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG,
          StreamsConfig.APPLICATION_ID_CONFIG,
          "schema.registry.url"
        }) {
      if (!client.containsKey(required)) {
        throw new ConfigException(required + " is missing");
      }
    }
    final Access access = new Access(config, client);
    Topics.makeReady(config, client, access);
    final Outputs outputs = GenerationTopology.outputs(config, client);
    awaitRegistry(outputs, config, access);
    final Optional<TraceWriter> trace =
        config.traceFile().map(file -> TraceWriter.create(file, config.engine()));
    final IterationHistory history = new IterationHistory();
    final List<IterationObserver> observers = new ArrayList<>();
    trace.ifPresent(observers::add);
    config.httpListen().ifPresent(_ -> observers.add(history));
    final GenerationEngine engine = engineStart.start(config.engine(), observers);
    try {
      final ApplicationMetrics metrics = new ApplicationMetrics(engine, config.tbtTarget());
      final GenerationTopology topology =
          new GenerationTopology(config, client, engine, metrics.serving(), outputs);
      final Optional<HttpEndpoint> http = listen(config, client);
      final KafkaStreams streams = streams(topology, client, http);
      final Application application =
          new Application(engine, trace, streams, http, LocalState.of(client), atClose(client));
      metrics.add(streams);
      application.run(access);
      http.ifPresent(
          endpoint -> {
            final RequestQueries queries = new RequestQueries(streams, GenerationTopology.GENERATE);
            final String address =
                String.valueOf(client.get(StreamsConfig.APPLICATION_SERVER_CONFIG));
            final Router router = new InstanceRoutes(streams, engine, queries, address).router();
            new PageRoutes(config.engine(), streams, engine, queries, address, history)
                .addTo(router);
            new MetricsRoutes(metrics, config).addTo(router);
            endpoint.serve(router);
            LOG.info("the page of this instance is at http://{}/", endpoint.address());
          });
      return application;
    } catch (final RuntimeException e) {
      engine.close();
      trace.ifPresent(TraceWriter::close);
      throw e;
    }
  }

  /** Bound before Streams is told how the other instances reach this one. */
  private static Optional<HttpEndpoint> listen(
      final SarathiConfig config, final Map<String, Object> client) {
    final Optional<HttpEndpoint> http =
        config
            .httpListen()
            .map(listen -> HttpEndpoint.bind(SarathiConfig.HTTP_LISTEN_CONFIG, listen));
    http.ifPresent(
        endpoint ->
            client.putIfAbsent(StreamsConfig.APPLICATION_SERVER_CONFIG, endpoint.address()));
    return http;
  }

  private static KafkaStreams streams(
      final GenerationTopology topology,
      final Map<String, Object> client,
      final Optional<HttpEndpoint> http) {
    try {
      return new KafkaStreams(topology.build(), new StreamsConfig(new HashMap<>(client)));
    } catch (final RuntimeException e) {
      http.ifPresent(HttpEndpoint::close);
      throw e;
    }
  }

  /**
   * A static member will be back before its session times out. Any other leaves, as Streams by
   * itself does not: its tasks would wait 45 s for somebody to take them up.
   */
  private static GroupMembershipOperation atClose(final Map<String, Object> client) {
    final boolean isStatic =
        client.keySet().stream()
            .anyMatch(name -> name.endsWith(CommonClientConfigs.GROUP_INSTANCE_ID_CONFIG));
    return isStatic
        ? GroupMembershipOperation.REMAIN_IN_GROUP
        : GroupMembershipOperation.LEAVE_GROUP;
  }

  /** A schema that the registry refuses is then known at start, not at the first result. */
  private static void awaitRegistry(
      final Outputs outputs, final SarathiConfig config, final Access access) {
    final long timeout = config.getLong(SarathiConfig.STARTUP_TIMEOUT_CONFIG);
    final long deadline = System.nanoTime() + Duration.ofMillis(timeout).toNanos();
    for (int tries = 1; ; tries++) {
      try {
        outputs.warmUp();
        return;
      } catch (final RuntimeException e) {
        final Optional<String> refusal = access.refusalByRegistry(e);
        if (refusal.isPresent()) {
          // Not as its cause, which quotes the schema.
          LOG.debug("the schema registry refused", e);
          throw new IllegalStateException(refusal.get());
        }
        if (!RegistryOutage.isAway(e)) {
          throw e;
        }
        final Throwable cause = RegistryOutage.causeOf(e);
        final String url =
            Access.withoutSecret(config.originals().get("schema.registry.url").toString());
        if (System.nanoTime() > deadline || Thread.currentThread().isInterrupted()) {
          throw new IllegalStateException(
              "the schema registry at schema.registry.url=%s could not be asked within %s=%d ms: %s"
                  .formatted(url, SarathiConfig.STARTUP_TIMEOUT_CONFIG, timeout, cause),
              cause);
        }
        if (tries == 1) {
          LOG.warn(
              "the schema registry at {} is away, waiting {} ms: {}",
              url,
              timeout,
              cause.toString());
        }
      }
      pause(RETRY_PAUSE.toMillis());
    }
  }

  private void run(final Access access) {
    streams.setUncaughtExceptionHandler(
        failure -> {
          if (!engine.isHealthy()) {
            LOG.error("the engine is broken; the application shuts down", failure);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
          }
          final Optional<String> refusal = access.refusal(failure);
          if (refusal.isPresent()) {
            LOG.error("the application stops: {}", refusal.get());
            LOG.debug("the application stops", failure);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
          }
          LOG.error("a stream thread failed and is replaced", failure);
          pause(REPLACEMENT_PAUSE_MILLIS);
          return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
    streams.setStateListener(
        (next, previous) -> {
          LOG.info("streams {} (was {})", next, previous);
          if (next == State.ERROR || next == State.NOT_RUNNING) {
            stopped.countDown();
          }
        });
    localState.open();
    streams.start();
  }

  /** Whether every task of this instance is assigned, restored and running. */
  public boolean isRunning() {
    return streams.state() == State.RUNNING;
  }

  /** How this instance is reached over HTTP, if it listens. */
  public Optional<String> httpAddress() {
    return http.map(HttpEndpoint::address);
  }

  /**
   * Waits until the application has stopped, by {@link #close} or by a failure.
   *
   * @return whether it was stopped rather than failed
   */
  public boolean awaitStop() throws InterruptedException {
    stopped.await();
    return streams.state() != State.ERROR;
  }

  /**
   * Commits what has been drained and stops. Unfinished generations stay in the store and resume
   * wherever their tasks go.
   */
  @Override
  public void close() {
    http.ifPresent(HttpEndpoint::close);
    if (streams.close(CloseOptions.timeout(CLOSE_TIMEOUT).withGroupMembershipOperation(atClose))) {
      localState.close();
    } else {
      LOG.warn("streams did not stop within {}; uncommitted work is aborted", CLOSE_TIMEOUT);
    }
    engine.close();
    trace.ifPresent(TraceWriter::close);
  }

  private static void pause(final long millis) {
    try {
      Thread.sleep(millis);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
