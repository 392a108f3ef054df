package dev.sarathi.streams.http;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.streams.RequestQueries;
import dev.sarathi.streams.RequestState;
import dev.sarathi.streams.RequestState.Phase;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KafkaStreams.State;
import org.apache.kafka.streams.errors.InvalidStateStoreException;

/**
 * What an instance tells of itself.
 *
 * <table>
 * <caption>Routes</caption>
 * <tr><td>{@code /requests?state=&limit=}</td><td>unfinished requests of its tasks</td></tr>
 * <tr><td><code>/requests/{id}</code></td><td>one of them</td></tr>
 * <tr><td>{@code /instances}</td><td>every instance of the application</td></tr>
 * <tr><td>{@code /health}</td><td>200 while it works, also while it restores or its brokers are
 * away; 503 if it must be restarted</td></tr>
 * <tr><td>{@code /ready}</td><td>200 while it takes prompts, its model warm and its tasks running;
 * 503 else</td></tr>
 * </table>
 *
 * <p>Threading: any thread.
 */
public final class InstanceRoutes {
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
  private static final int DEFAULT_LIMIT = 100;
  private static final int MAX_LIMIT = 1_000;

  private final KafkaStreams streams;
  private final GenerationEngine engine;
  private final RequestQueries queries;
  private final Instances instances;

  /**
   * @param address of this instance, as the others know it
   */
  public InstanceRoutes(
      final KafkaStreams streams,
      final GenerationEngine engine,
      final RequestQueries queries,
      final String address) {
    this.streams = streams;
    this.engine = engine;
    this.queries = queries;
    this.instances = new Instances(streams, address);
  }

  /** The routes. */
  public Router router() {
    return new Router()
        .get("/requests", reading(this::requests))
        .get("/requests/{id}", reading(this::request))
        .get("/instances", query -> instances())
        .get("/health", query -> health())
        .get("/ready", query -> ready());
  }

  private static Function<Query, Answer> reading(final Function<Query, Answer> handler) {
    return query -> {
      try {
        return handler.apply(query);
      } catch (final InvalidStateStoreException | IllegalStateException e) {
        return Answer.error(503, "the stores cannot be read now: " + e.getMessage());
      }
    };
  }

  private Answer requests(final Query query) {
    final Optional<Phase> phase;
    final int limit;
    try {
      phase = query.parameter("state").map(name -> Phase.valueOf(name.toUpperCase(Locale.ROOT)));
      limit = query.parameter("limit").map(Integer::parseInt).orElse(DEFAULT_LIMIT);
    } catch (final IllegalArgumentException e) {
      return Answer.error(
          400, "valid is state=waiting or state=running, and a limit from 1 to " + MAX_LIMIT);
    }
    if (limit < 1 || limit > MAX_LIMIT) {
      return Answer.error(400, "limit is " + limit + "; valid is 1 to " + MAX_LIMIT);
    }
    final RequestQueries.Page page = queries.list(phase, limit);
    final ObjectNode answer = NODES.objectNode();
    answer.put("instance", instances.address());
    answer.put("committed", false);
    answer.put("unfinished", page.unfinished());
    answer.put("complete", page.complete());
    final ArrayNode requests = answer.putArray("requests");
    page.requests().forEach(request -> requests.add(json(request)));
    return Answer.json(answer);
  }

  private Answer request(final Query query) {
    final String id = query.path().get("id");
    return queries
        .find(id)
        .map(
            found ->
                Answer.json(
                    json(found).put("instance", instances.address()).put("committed", false)))
        .orElseGet(() -> Answer.error(404, "no task here has an unfinished request " + id));
  }

  static ObjectNode json(final RequestState request) {
    final ObjectNode node = NODES.objectNode();
    node.put("id", request.id());
    node.put("state", request.phase().name().toLowerCase(Locale.ROOT));
    node.put("tokens", request.tokens());
    node.put("choices", request.choices());
    node.put("attempts", request.attempts());
    node.put("priority", request.priority().name().toLowerCase(Locale.ROOT));
    node.put("tenant", request.tenant());
    node.put("prompted_at", request.promptedAt().toString());
    node.put("age_ms", Duration.between(request.promptedAt(), Instant.now()).toMillis());
    node.put("deadline", request.deadline().map(Instant::toString).orElse(null));
    node.put("topic", request.topic());
    node.put("partition", request.partition());
    node.put("offset", request.offset());
    node.put("key", request.key().orElse(null));
    node.put("fingerprint", request.fingerprint().orElse(null));
    return node;
  }

  private Answer instances() {
    final ObjectNode answer = NODES.objectNode();
    answer.put("instance", instances.address());
    answer.set("instances", instances.json());
    return Answer.json(answer);
  }

  private Answer health() {
    final State state = streams.state();
    final boolean works = engine.isHealthy() && !state.hasCompletedShutdown();
    return state(works, state);
  }

  private Answer ready() {
    final State state = streams.state();
    return state(state == State.RUNNING && engine.isReady(), state);
  }

  private Answer state(final boolean good, final State state) {
    return Answer.json(
        good ? 200 : 503,
        NODES
            .objectNode()
            .put("streams", state.name())
            .put("engine", engine.isHealthy() ? "healthy" : "broken")
            .put("warm", engine.isReady()));
  }
}
