package dev.sarathi.streams.application;

import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.schemas.JobCancellation;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.streams.Generation;
import dev.sarathi.streams.SarathiConfig;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.Topology;

/**
 * The application's topology. Bytes go in and bytes go out: the nodes between decode and encode, so
 * that what fails can be answered with the record at hand.
 *
 * <pre>
 * prompts → decode → generate → tokens
 *               ↓       ↓ ↓ ↓
 *               ↓       ↓ ↓ completions
 *               ↓       ↓ jobs
 *              dead-letters
 * </pre>
 *
 * <p>Beside these, generate sends a {@link FenceRecord} back to prompts when a task is taken up
 * with unfinished requests.
 */
final class GenerationTopology {
  private static final String PROMPTS = "prompts";
  private static final String DECODE = "decode";

  /** The node that generates, by which its stores are named. */
  static final String GENERATE = "generate";

  private static final String TOKENS = "tokens";
  private static final String COMPLETIONS = "completions";
  private static final String JOBS = "jobs";
  private static final String FENCES = "fences";
  private static final String DEAD_LETTERS = "dead-letters";

  private final SarathiConfig config;
  private final Map<String, Object> registry;
  private final GenerationEngine engine;

  GenerationTopology(
      final SarathiConfig config,
      final Map<String, Object> registry,
      final GenerationEngine engine) {
    this.config = config;
    this.registry = registry;
    this.engine = engine;
  }

  Topology build() {
    final Topology topology = new Topology();
    topology
        .addSource(
            PROMPTS,
            new ByteArrayDeserializer(),
            new ByteArrayDeserializer(),
            config.getString(SarathiConfig.PROMPTS_TOPIC_CONFIG))
        .addProcessor(
            DECODE,
            () ->
                new PromptDecoder(
                    SarathiSerdes.promptRequest(registry).deserializer(), GENERATE, DEAD_LETTERS),
            PROMPTS)
        .addProcessor(GENERATE, generation(), DECODE);
    topology.addSink(
        FENCES,
        config.getString(SarathiConfig.PROMPTS_TOPIC_CONFIG),
        new ByteArraySerializer(),
        new ByteArraySerializer(),
        FenceRecord::partition,
        GENERATE);
    addSink(topology, TOKENS, SarathiConfig.TOKENS_TOPIC_CONFIG, GENERATE);
    addSink(topology, COMPLETIONS, SarathiConfig.COMPLETIONS_TOPIC_CONFIG, GENERATE);
    addSink(topology, JOBS, SarathiConfig.JOBS_TOPIC_CONFIG, GENERATE);
    addSink(topology, DEAD_LETTERS, SarathiConfig.DEAD_LETTERS_TOPIC_CONFIG, DECODE, GENERATE);
    return topology;
  }

  private void addSink(
      final Topology topology, final String name, final String setting, final String... parents) {
    final String topic = config.getString(setting);
    if (!topic.isEmpty()) {
      topology.addSink(name, topic, new ByteArraySerializer(), new ByteArraySerializer(), parents);
    }
  }

  private Generation<byte[], SourcePrompt, byte[]> generation() {
    final int defaultMaxTokens = config.getInt(SarathiConfig.DEFAULT_MAX_TOKENS_CONFIG);
    final OptionalInt maxTokens =
        defaultMaxTokens == 0 ? OptionalInt.empty() : OptionalInt.of(defaultMaxTokens);
    final ThreadLocal<Outputs> outputs = ThreadLocal.withInitial(this::outputs);
    final Generation.Named<byte[], SourcePrompt, byte[]> generation =
        Generation.<byte[], SourcePrompt>using(engine)
            .settings(config.generation())
            .id((key, prompt) -> prompt.id())
            .request((key, prompt) -> prompt.toGenerationRequest(engine.modelName(), maxTokens))
            .carrying(Serdes.ByteArray(), SourcePrompt.carriedSerde())
            .cancelledBy(key -> Optional.ofNullable(key).map(PromptRequests::idOf))
            .results(result -> outputs.get().records(result))
            .fencing(FenceRecord.record(FENCES), FenceRecord::is);
    return topicOf(SarathiConfig.JOBS_TOPIC_CONFIG)
        .map(
            topic ->
                generation.jobs(
                    prompt -> prompt.request().getJobId(),
                    JobCancellation::jobOf,
                    progress -> outputs.get().records(progress)))
        .orElse(generation)
        .as(GENERATE);
  }

  Outputs outputs() {
    return new Outputs(
        topicOf(SarathiConfig.TOKENS_TOPIC_CONFIG)
            .map(
                topic ->
                    new Outputs.Outlet<>(
                        TOKENS, topic, SarathiSerdes.tokenRecord(registry).serializer())),
        topicOf(SarathiConfig.COMPLETIONS_TOPIC_CONFIG)
            .map(
                topic ->
                    new Outputs.Outlet<>(
                        COMPLETIONS, topic, SarathiSerdes.completion(registry).serializer())),
        topicOf(SarathiConfig.JOBS_TOPIC_CONFIG)
            .map(
                topic ->
                    new Outputs.Outlet<>(
                        JOBS, topic, SarathiSerdes.jobProgress(registry).serializer())),
        DEAD_LETTERS,
        engine.modelName());
  }

  private Optional<String> topicOf(final String setting) {
    return Optional.of(config.getString(setting)).filter(topic -> !topic.isEmpty());
  }
}
