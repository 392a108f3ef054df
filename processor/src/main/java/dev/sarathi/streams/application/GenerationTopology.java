package dev.sarathi.streams.application;

import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.JobCancellation;
import dev.sarathi.schemas.JobProgress;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.streams.Generation;
import dev.sarathi.streams.GenerationObserver;
import dev.sarathi.streams.SarathiConfig;
import io.confluent.kafka.schemaregistry.avro.AvroSchema;
import io.confluent.kafka.serializers.KafkaAvroSerializerConfig;
import io.confluent.kafka.serializers.subject.strategy.SubjectNameStrategy;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Supplier;
import org.apache.avro.Schema;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorSupplier;
import org.apache.kafka.streams.state.StoreBuilder;

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
 * <p>Beside these, generate and decode send a {@link FenceRecord} back to prompts when a task is
 * taken up with unfinished requests, or with prompts that wait for the schema registry.
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
  private final GenerationObserver observer;
  private final Outputs outputs;

  /**
   * @param outputs as {@link #outputs} makes them; one for all threads: what it has asked the
   *     registry at start, no thread asks again
   */
  GenerationTopology(
      final SarathiConfig config,
      final Map<String, Object> registry,
      final GenerationEngine engine,
      final GenerationObserver observer,
      final Outputs outputs) {
    this.config = config;
    this.registry = registry;
    this.engine = engine;
    this.observer = observer;
    this.outputs = outputs;
  }

  Topology build() {
    final Topology topology = new Topology();
    topology
        .addSource(
            PROMPTS,
            new ByteArrayDeserializer(),
            new ByteArrayDeserializer(),
            config.getString(SarathiConfig.PROMPTS_TOPIC_CONFIG))
        .addProcessor(DECODE, decoders(), PROMPTS)
        .addProcessor(GENERATE, generation(), DECODE);
    topology.addSink(
        FENCES,
        config.getString(SarathiConfig.PROMPTS_TOPIC_CONFIG),
        new ByteArraySerializer(),
        new ByteArraySerializer(),
        FenceRecord::partition,
        DECODE,
        GENERATE);
    addSink(topology, TOKENS, SarathiConfig.TOKENS_TOPIC_CONFIG, GENERATE);
    addSink(topology, COMPLETIONS, SarathiConfig.COMPLETIONS_TOPIC_CONFIG, GENERATE);
    addSink(topology, JOBS, SarathiConfig.JOBS_TOPIC_CONFIG, GENERATE);
    addSink(topology, DEAD_LETTERS, SarathiConfig.DEAD_LETTERS_TOPIC_CONFIG, DECODE, GENERATE);
    return topology;
  }

  private ProcessorSupplier<byte[], byte[], byte[], Object> decoders() {
    final Supplier<Deserializer<PromptRequest>> deserializers =
        () -> SarathiSerdes.promptRequest(registry).deserializer();
    final RegistryOutage outage = new RegistryOutage(deserializers);
    final PromptDecoder.Children children =
        new PromptDecoder.Children(GENERATE, DEAD_LETTERS, FENCES);
    return new ProcessorSupplier<>() {
      @Override
      public Processor<byte[], byte[], byte[], Object> get() {
        return new PromptDecoder(deserializers.get(), outage, children);
      }

      @Override
      public Set<StoreBuilder<?>> stores() {
        return Set.of(PromptDecoder.heldBuilder(config.largestRecordBytes()));
      }
    };
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
    final Generation.Named<byte[], SourcePrompt, byte[]> generation =
        Generation.<byte[], SourcePrompt>using(engine)
            .settings(config.generation())
            .observedBy(observer)
            .id((key, prompt) -> prompt.id())
            .request((key, prompt) -> prompt.toGenerationRequest(engine.modelName(), maxTokens))
            .carrying(Serdes.ByteArray(), SourcePrompt.carriedSerde())
            .cancelledBy(key -> Optional.ofNullable(key).map(PromptRequests::idOf))
            .results(result -> outputs.records(result))
            .fencing(FenceRecord.record(FENCES), FenceRecord::is);
    return topicOf(config, SarathiConfig.JOBS_TOPIC_CONFIG)
        .map(
            topic ->
                generation.jobs(
                    prompt -> prompt.request().getJobId(),
                    JobCancellation::jobOf,
                    progress -> outputs.records(progress)))
        .orElse(generation)
        .as(GENERATE);
  }

  /** What the sinks of such a topology are given. */
  static Outputs outputs(final SarathiConfig config, final Map<String, Object> registry) {
    return new Outputs(
        outlet(
            config,
            registry,
            TOKENS,
            SarathiConfig.TOKENS_TOPIC_CONFIG,
            TokenRecord.getClassSchema(),
            SarathiSerdes::tokenRecord),
        outlet(
            config,
            registry,
            COMPLETIONS,
            SarathiConfig.COMPLETIONS_TOPIC_CONFIG,
            Completion.getClassSchema(),
            SarathiSerdes::completion),
        outlet(
            config,
            registry,
            JOBS,
            SarathiConfig.JOBS_TOPIC_CONFIG,
            JobProgress.getClassSchema(),
            SarathiSerdes::jobProgress),
        DEAD_LETTERS,
        config.engine().modelName());
  }

  private static <T> Optional<Outputs.Outlet<T>> outlet(
      final SarathiConfig config,
      final Map<String, Object> registry,
      final String child,
      final String setting,
      final Schema schema,
      final Function<Map<String, ?>, Serde<T>> serde) {
    return topicOf(config, setting)
        .map(
            topic ->
                new Outputs.Outlet<>(
                    child,
                    topic,
                    subjectOf(registry, topic, schema),
                    serde.apply(registry).serializer()));
  }

  private static String subjectOf(
      final Map<String, Object> registry, final String topic, final Schema schema) {
    final Object strategy = new KafkaAvroSerializerConfig(registry).valueSubjectNameStrategy();
    return ((SubjectNameStrategy) strategy).subjectName(topic, false, new AvroSchema(schema));
  }

  private static Optional<String> topicOf(final SarathiConfig config, final String setting) {
    return Optional.of(config.getString(setting)).filter(topic -> !topic.isEmpty());
  }
}
