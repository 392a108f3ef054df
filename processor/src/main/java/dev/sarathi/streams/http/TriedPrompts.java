package dev.sarathi.streams.http;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.EngineFailedException;
import dev.sarathi.runtime.Finish;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationHandle;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.InvalidRequestException;
import dev.sarathi.runtime.QueueFullException;
import dev.sarathi.runtime.Sampling;
import dev.sarathi.runtime.TokenDelta;
import dev.sarathi.runtime.TokenListener;
import java.io.IOException;
import java.util.Locale;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Prompts that somebody tries on the page. They go straight to the engine, not through Kafka:
 * nothing is stored, nothing resumes, and what goes with the page ends with it.
 *
 * <p>Threading: any thread.
 */
final class TriedPrompts {
  /** The most tokens of one answer. */
  static final int MOST_TOKENS = 256;

  private static final int MOST_CHARACTERS = 16_384;
  private static final int MOST_AT_ONCE = 4;
  private static final float MOST_TEMPERATURE = 2;

  /** How soon it is seen that nobody reads any more. */
  private static final long PROBE_MILLIS = 250;

  private static final String PREFIX = "page-";

  private final GenerationEngine engine;
  private final int maxSequences;

  /** Those with an answer under way. */
  private final Set<String> pages = ConcurrentHashMap.newKeySet();

  TriedPrompts(final GenerationEngine engine, final EngineConfig config) {
    this.engine = engine;
    this.maxSequences = config.maxSequences();
  }

  /** Whether a request has come from a page. */
  static boolean isTried(final String request) {
    return request.startsWith(PREFIX);
  }

  /** What a body asks for; in ranges, but not seen by the engine yet. */
  private record Attempt(String page, String prompt, int maxTokens, float temperature) {
    private static Attempt of(final byte[] body) {
      final JsonNode node;
      try {
        node = Answer.JSON.readTree(body);
      } catch (final IOException e) {
        throw new IllegalArgumentException("the body is no JSON", e);
      }
      final Attempt attempt =
          new Attempt(
              node.path("page").asText(""),
              node.path("prompt").asText(""),
              node.path("max_tokens").asInt(0),
              (float) node.path("temperature").asDouble(0));
      require(attempt.page.matches("[0-9a-zA-Z-]{8,64}"), "page", "8 to 64 letters and digits");
      require(
          !attempt.prompt.isBlank() && attempt.prompt.length() <= MOST_CHARACTERS,
          "prompt",
          "1 to %,d characters".formatted(MOST_CHARACTERS));
      require(
          attempt.maxTokens >= 1 && attempt.maxTokens <= MOST_TOKENS,
          "max_tokens",
          "1 to " + MOST_TOKENS);
      require(
          attempt.temperature >= 0 && attempt.temperature <= MOST_TEMPERATURE,
          "temperature",
          "0 to 2");
      return attempt;
    }

    private static void require(final boolean met, final String field, final String valid) {
      if (!met) {
        throw new IllegalArgumentException("%s: valid is %s".formatted(field, valid));
      }
    }

    private GenerationRequest request() {
      return GenerationRequest.of(PREFIX + UUID.randomUUID(), prompt)
          .withMaxTokens(maxTokens)
          .withSampling(temperature == 0 ? Sampling.GREEDY : Sampling.at(temperature));
    }
  }

  Answer answer(final Query query) {
    final Attempt attempt;
    try {
      attempt = Attempt.of(query.body());
    } catch (final IllegalArgumentException e) {
      return Answer.error(400, e.getMessage());
    }
    if (isFull()) {
      return Answer.error(503, "the engine is full; try again when less is running");
    }
    if (!pages.add(attempt.page)) {
      return Answer.error(409, "this page has an answer under way; one at a time");
    }
    if (pages.size() > MOST_AT_ONCE) {
      pages.remove(attempt.page);
      return Answer.error(
          429, "%d prompts are being tried at this instance already".formatted(MOST_AT_ONCE));
    }
    return submit(attempt);
  }

  /** What is tried takes the last place, and the last tenth of the KV blocks, from nobody. */
  private boolean isFull() {
    return engine.load().running() + engine.load().waiting() >= maxSequences
        || engine.load().freeBlocks() < engine.load().totalBlocks() / 10;
  }

  private Answer submit(final Attempt attempt) {
    final GenerationRequest request = attempt.request();
    final Listener listener = new Listener();
    try {
      final GenerationHandle handle = engine.submit(request, listener);
      return new Answer.Events(
          stream -> listener.sendTo(stream, request.id()),
          () -> {
            handle.abandon();
            pages.remove(attempt.page);
          });
    } catch (final InvalidRequestException e) {
      pages.remove(attempt.page);
      return Answer.error(400, e.getMessage());
    } catch (final QueueFullException | EngineFailedException | IllegalStateException e) {
      pages.remove(attempt.page);
      return Answer.error(503, e.getMessage());
    }
  }

  /** Hands an answer from the engine thread to the one that sends it. */
  private static final class Listener implements TokenListener {
    /** No more than an answer's tokens. */
    private final BlockingQueue<Event> events = new LinkedBlockingQueue<>();

    private record Event(String name, ObjectNode data) {}

    @Override
    public void onTokens(final TokenDelta delta) {
      final ObjectNode node = JsonNodeFactory.instance.objectNode();
      node.put("text", delta.text());
      node.put("tokens", delta.index() + delta.tokens().length);
      events.add(new Event("tokens", node));
      delta.finish().ifPresent(finish -> events.add(new Event("end", json(finish))));
    }

    private static ObjectNode json(final Finish finish) {
      return JsonNodeFactory.instance
          .objectNode()
          .put("reason", finish.reason().name().toLowerCase(Locale.ROOT))
          .put("error", finish.error().orElse(null))
          .put("prompt_tokens", finish.usage().promptTokens())
          .put("tokens", finish.usage().completionTokens())
          .put("ttft_ms", finish.timing().timeToFirstToken().toNanos() / 1e6)
          .put("longest_gap_ms", finish.timing().longestGap().toNanos() / 1e6)
          .put("total_ms", finish.timing().total().toNanos() / 1e6);
    }

    @Override
    public void onEngineFailure(final EngineFailedException failure) {
      events.add(
          new Event(
              "end",
              JsonNodeFactory.instance
                  .objectNode()
                  .put("reason", "error")
                  .put("error", failure.getMessage())));
    }

    private void sendTo(final EventStream stream, final String id)
        throws IOException, InterruptedException {
      stream.send("begin", JsonNodeFactory.instance.objectNode().put("id", id));
      while (true) {
        final Event event = events.poll(PROBE_MILLIS, TimeUnit.MILLISECONDS);
        if (event == null) {
          stream.probe();
        } else {
          stream.send(event.name, event.data);
          if (event.name.equals("end")) {
            return;
          }
        }
      }
    }
  }
}
