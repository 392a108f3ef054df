package dev.sarathi.streams.http;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.streams.RequestQueries;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.errors.InvalidStateStoreException;

/**
 * The page that shows an instance at work.
 *
 * <table>
 * <caption>Routes</caption>
 * <tr><td>{@code /}</td><td>the page; what it is made of is under {@code /page/}</td></tr>
 * <tr><td>{@code /page/events}</td><td>the instance as it works, as events</td></tr>
 * <tr><td><code>/page/requests/{id}</code></td><td>a request, of whichever instance has it</td></tr>
 * <tr><td>{@code POST /page/prompts}</td><td>a prompt to try; its answer as events</td></tr>
 * </table>
 *
 * <p>Threading: any thread.
 */
public final class PageRoutes {
  private static final int MOST_READERS = 8;
  private static final long INTERVAL_MILLIS = 250;
  private static final int INTERVALS_OF_GROUP = 4;

  private static final Map<String, String> FILES =
      Map.of(
          "index.html", "text/html; charset=utf-8",
          "page.css", "text/css; charset=utf-8",
          "page.js", "text/javascript; charset=utf-8",
          "timeline.js", "text/javascript; charset=utf-8",
          "icon.svg", "image/svg+xml");

  private final RequestQueries queries;
  private final Instances instances;
  private final IterationHistory history;
  private final InstanceView view;
  private final TriedPrompts tried;
  private final Semaphore readers = new Semaphore(MOST_READERS);

  /**
   * @param address of this instance, as the others know it
   * @param history of the engine's iterations, from its start on
   */
  public PageRoutes(
      final EngineConfig config,
      final KafkaStreams streams,
      final GenerationEngine engine,
      final RequestQueries queries,
      final String address,
      final IterationHistory history) {
    this.queries = queries;
    this.instances = new Instances(streams, address);
    this.history = history;
    this.view = new InstanceView(config, streams, engine, queries, instances, history);
    this.tried = new TriedPrompts(engine, config);
  }

  /** Adds the routes to others. */
  public Router addTo(final Router router) {
    FILES.forEach(
        (name, type) -> {
          final Answer file = Answer.of(200, type, read(name));
          router.get(name.equals("index.html") ? "/" : "/page/" + name, _ -> file);
        });
    return router
        .get("/page/events", _ -> events())
        .get("/page/requests/{id}", query -> request(query.path().get("id")))
        .post("/page/prompts", tried::answer);
  }

  private static byte[] read(final String name) {
    try (InputStream file = PageRoutes.class.getResourceAsStream(name)) {
      if (file == null) {
        throw new IllegalStateException(name + " is missing in the jar");
      }
      return file.readAllBytes();
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Answer events() {
    return readers.tryAcquire()
        ? new Answer.Events(this::watch, readers::release)
        : new Answer.Events(
            stream ->
                stream.send(
                    "full", JsonNodeFactory.instance.objectNode().put("readers", MOST_READERS)),
            () -> {});
  }

  /** A reader that is slow finds, in the end, only what is kept. */
  private void watch(final EventStream stream) throws IOException, InterruptedException {
    stream.send("constants", view.constants());
    long next = 0;
    for (int interval = 0; ; interval++) {
      final List<IterationHistory.Entry> iterations = history.since(next);
      stream.send("now", view.now(iterations));
      next = iterations.isEmpty() ? next : iterations.getLast().number() + 1;
      if (interval % INTERVALS_OF_GROUP == 0) {
        stream.send("group", view.group());
      }
      Thread.sleep(INTERVAL_MILLIS);
    }
  }

  private Answer request(final String id) {
    final ObjectNode answer = JsonNodeFactory.instance.objectNode();
    Optional<JsonNode> found = Optional.empty();
    try {
      found =
          queries
              .find(id)
              .map(
                  request ->
                      InstanceRoutes.json(request)
                          .put("instance", instances.address())
                          .put("committed", false));
    } catch (final InvalidStateStoreException | IllegalStateException e) {
      answer.withArray("silent").add(instances.address());
    }
    if (found.isEmpty()) {
      try {
        final Instances.Found others = instances.find(id);
        found = others.found();
        others.silent().forEach(answer.withArray("silent")::add);
      } catch (final InvalidStateStoreException | IllegalStateException e) {
        answer.withArray("silent").add("the other instances, which are not known now");
      } catch (final InterruptedException e) {
        Thread.currentThread().interrupt();
        return Answer.error(503, "the instance is closing");
      }
    }
    answer.put("found", found.isPresent());
    found.ifPresent(request -> answer.set("request", request));
    return Answer.json(answer);
  }
}
