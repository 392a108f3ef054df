package dev.sarathi.streams.http;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.EngineLoad;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.Iteration;
import dev.sarathi.streams.RequestQueries;
import dev.sarathi.streams.RequestState.Phase;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.TaskMetadata;
import org.apache.kafka.streams.ThreadMetadata;
import org.apache.kafka.streams.errors.InvalidStateStoreException;

/**
 * What the page is told of an instance.
 *
 * <p>Threading: any thread. What is read from stores and from Kafka Streams is read once a second,
 * for all pages together.
 */
final class InstanceView {
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
  private static final int MOST_SEQUENCES = 200;
  private static final int MOST_REQUESTS = 50;
  private static final long REFRESH_NANOS = 1_000_000_000;

  private final EngineConfig config;
  private final KafkaStreams streams;
  private final GenerationEngine engine;
  private final RequestQueries queries;
  private final Instances instances;
  private final IterationHistory history;
  private ObjectNode group = NODES.objectNode();
  private long groupRead = System.nanoTime() - REFRESH_NANOS;

  InstanceView(
      final EngineConfig config,
      final KafkaStreams streams,
      final GenerationEngine engine,
      final RequestQueries queries,
      final Instances instances,
      final IterationHistory history) {
    this.config = config;
    this.streams = streams;
    this.engine = engine;
    this.queries = queries;
    this.instances = instances;
    this.history = history;
  }

  /** What does not change. */
  ObjectNode constants() {
    final ObjectNode node = NODES.objectNode();
    node.put("address", instances.address());
    node.put("model", engine.modelName());
    node.put("policy", config.policy());
    node.put("token_budget", config.tokenBudget().toString());
    node.put("max_sequences", config.maxSequences());
    node.put("context", engine.contextLength());
    node.put("history", IterationHistory.CAPACITY);
    node.put("most_tried_tokens", TriedPrompts.MOST_TOKENS);
    final ArrayNode bounds = node.putArray("latency_bounds");
    for (final int bound : LatencyHistogram.BOUNDS) {
      bounds.add(bound);
    }
    return node;
  }

  /** What changes with every iteration. */
  ObjectNode now(final List<IterationHistory.Entry> iterations) {
    final EngineLoad load = engine.load();
    final long now = System.nanoTime();
    final ObjectNode node = NODES.objectNode();
    node.put("at", System.currentTimeMillis());
    node.put("streams", streams.state().name());
    node.put("engine", !engine.isHealthy() ? "broken" : engine.isReady() ? "ready" : "warming up");
    node.put("running", load.running());
    node.put("waiting", load.waiting());
    node.put("preemptions", load.preemptions());
    node.putObject("kv")
        .put("used", load.usedBlocks())
        .put("cached", load.cachedBlocks())
        .put("free", load.freeBlocks() - load.cachedBlocks())
        .put("total", load.totalBlocks());
    node.set("ttft", history.timeToFirstToken().json(now));
    node.set("tbt", history.timeBetweenTokens().json(now));
    final ArrayNode entries = node.putArray("iterations");
    iterations.forEach(entry -> entries.add(json(entry)));
    final ArrayNode sequences = node.putArray("sequences");
    // One that was cancelled is taken away with the next iteration, which may not come.
    if (load.running() + load.waiting() > 0) {
      history.sequences().stream()
          .sorted(Comparator.comparingLong(LiveSequence::sequence))
          .limit(MOST_SEQUENCES)
          .forEach(sequence -> sequences.add(json(sequence)));
    }
    return node;
  }

  /** An array, for there are many: the page names its places. */
  private static ArrayNode json(final IterationHistory.Entry entry) {
    final ArrayNode node =
        NODES
            .arrayNode()
            .add(entry.number())
            .add(entry.at())
            .add(Math.round((entry.end() - entry.start()) / 1e3) / 1e3)
            .add(entry.decodes())
            .add(entry.prefill())
            .add(entry.budget())
            .add(entry.preempted());
    final ArrayNode chunks = node.addArray();
    for (final Iteration.Part chunk : entry.chunks()) {
      chunks.addArray().add(chunk.request()).add(chunk.start()).add(chunk.tokens());
    }
    return node;
  }

  private static ObjectNode json(final LiveSequence sequence) {
    return NODES
        .objectNode()
        .put("id", sequence.request())
        .put("choice", sequence.choice())
        .put("phase", sequence.phase().name().toLowerCase(Locale.ROOT))
        .put("positions", sequence.known())
        .put("generated", sequence.generated())
        .put("tried", TriedPrompts.isTried(sequence.request()));
  }

  /** The requests in the stores, the tasks, and the other instances. */
  synchronized ObjectNode group() {
    final long now = System.nanoTime();
    if (now - groupRead >= REFRESH_NANOS) {
      groupRead = now;
      final ObjectNode node = NODES.objectNode();
      node.set("tasks", tasks());
      try {
        node.set("requests", requests());
        node.set("instances", instances.json());
      } catch (final InvalidStateStoreException | IllegalStateException e) {
        node.put("problem", "the stores cannot be read now: " + e.getMessage());
      }
      group = node;
    }
    return group;
  }

  private ObjectNode requests() {
    final RequestQueries.Page running = queries.list(Optional.of(Phase.RUNNING), MOST_REQUESTS);
    final RequestQueries.Page waiting = queries.list(Optional.of(Phase.WAITING), MOST_REQUESTS);
    final ObjectNode node = NODES.objectNode();
    node.put("unfinished", waiting.unfinished());
    node.put("complete", running.complete() && waiting.complete());
    final ArrayNode requests = node.putArray("list");
    running.requests().forEach(request -> requests.add(InstanceRoutes.json(request)));
    waiting.requests().forEach(request -> requests.add(InstanceRoutes.json(request)));
    return node;
  }

  private ArrayNode tasks() {
    final ArrayNode tasks = NODES.arrayNode();
    streams.metadataForLocalThreads().stream()
        .sorted(Comparator.comparing(ThreadMetadata::threadName))
        .forEach(
            thread -> {
              thread.activeTasks().forEach(task -> tasks.add(task(thread, task, "active")));
              thread.standbyTasks().forEach(task -> tasks.add(task(thread, task, "standby")));
            });
    return tasks;
  }

  private static JsonNode task(
      final ThreadMetadata thread, final TaskMetadata task, final String role) {
    final ObjectNode node = NODES.objectNode();
    node.put("task", task.taskId().toString());
    node.put("role", role);
    node.put("thread", thread.threadName().replaceFirst(".*-(StreamThread-\\d+)$", "$1"));
    node.put("state", thread.threadState());
    final ArrayNode partitions = node.putArray("partitions");
    task.topicPartitions().stream()
        .sorted(Comparator.comparing(TopicPartition::toString))
        .forEach(
            partition ->
                partitions
                    .addObject()
                    .put("partition", partition.toString())
                    .put("committed", task.committedOffsets().getOrDefault(partition, -1L))
                    .put("end", task.endOffsets().getOrDefault(partition, -1L)));
    return node;
  }
}
