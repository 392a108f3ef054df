package dev.sarathi.streams.replay;

import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.streams.SarathiConfig;
import dev.sarathi.streams.application.Application;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiConsumer;
import java.util.stream.Stream;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.StreamsConfig;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The application once more, under an id, topics and state of its own.
 *
 * <p>Threading: one thread owns it; the shutdown hook may close it as well.
 */
final class Shadow implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Shadow.class);
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss").withZone(ZoneOffset.UTC);
  private static final Duration POLL = Duration.ofMillis(100);
  private static final Duration START_LIMIT = Duration.ofMinutes(5);

  /** Longer than any prefill should take; and a failed instance must not make us wait for ever. */
  private static final Duration STALL_LIMIT = Duration.ofMinutes(10);

  private final String id;
  private final boolean keep;
  private final Path directory;
  private final SarathiConfig config;
  private final List<Application> instances = new CopyOnWriteArrayList<>();
  private final AtomicBoolean closed = new AtomicBoolean();
  private final Thread hook = new Thread(this::close, "replay-shutdown");

  private Shadow(
      final String id, final boolean keep, final Path directory, final SarathiConfig config) {
    this.id = id;
    this.keep = keep;
    this.directory = directory;
    this.config = config;
  }

  /** Starts the instances and waits until all take prompts. */
  static Shadow start(final SarathiConfig original, final ReplayOptions options)
      throws InterruptedException {
    // Not behind the application's own id: a reset of that deletes the changelogs that begin so.
    final String id =
        "replay-%s-%s-%04x"
            .formatted(
                original.originals().get(StreamsConfig.APPLICATION_ID_CONFIG),
                TIME.format(Instant.now()),
                ThreadLocalRandom.current().nextInt(1 << 16));
    final Map<String, Object> properties = isolated(original, options, id);
    final SarathiConfig config = SarathiConfig.of(properties);
    final Path directory = temporaryDirectory();
    final Shadow shadow = new Shadow(id, options.keep(), directory, config);
    Runtime.getRuntime().addShutdownHook(shadow.hook);
    try {
      for (int i = 0; i < options.instances(); i++) {
        final Map<String, Object> instance = new HashMap<>(properties);
        instance.put(StreamsConfig.STATE_DIR_CONFIG, directory.resolve("instance-" + i).toString());
        shadow.instances.add(Application.start(instance));
      }
      shadow.awaitRunning();
      return shadow;
    } catch (final RuntimeException | InterruptedException e) {
      shadow.close();
      throw e;
    }
  }

  private static Path temporaryDirectory() {
    try {
      return Files.createTempDirectory("sarathi-replay-");
    } catch (final IOException e) {
      throw new UncheckedIOException("there is no place for temporary files", e);
    }
  }

  /** The application's settings, with everything that it shares with nobody renamed. */
  private static Map<String, Object> isolated(
      final SarathiConfig original, final ReplayOptions options, final String id) {
    final Map<String, Object> properties = new HashMap<>(options.properties());
    properties
        .keySet()
        .removeIf(
            name ->
                name.endsWith(CommonClientConfigs.GROUP_INSTANCE_ID_CONFIG)
                    || name.endsWith(CommonClientConfigs.CLIENT_ID_CONFIG)
                    || name.equals(StreamsConfig.APPLICATION_SERVER_CONFIG)
                    || name.equals(SarathiConfig.TRACE_FILE_CONFIG)
                    || name.equals(SarathiConfig.HTTP_LISTEN_CONFIG));
    properties.putIfAbsent(
        SarathiConfig.TOPICS_PARTITIONS_CONFIG, Integer.toString(2 * options.instances()));
    properties.putAll(options.overrides());
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, id);
    shadow(properties, original, id, SarathiConfig.PROMPTS_TOPIC_CONFIG, "prompts");
    shadow(properties, original, id, SarathiConfig.TOKENS_TOPIC_CONFIG, "tokens");
    shadow(properties, original, id, SarathiConfig.DEAD_LETTERS_TOPIC_CONFIG, "dead-letters");
    properties.put(SarathiConfig.COMPLETIONS_TOPIC_CONFIG, "");
    final Object strategy =
        properties.put(OriginalSubjects.STRATEGY, OriginalSubjects.class.getName());
    if (strategy != null) {
      properties.put(OriginalSubjects.ORIGINAL_STRATEGY, strategy);
    }
    return properties;
  }

  private static void shadow(
      final Map<String, Object> properties,
      final SarathiConfig original,
      final String id,
      final String setting,
      final String name) {
    final String topic = id + "-" + name;
    properties.put(setting, topic);
    // An application that writes completions only has no subject for its tokens.
    final String stoodFor = original.getString(setting);
    properties.put(OriginalSubjects.TOPIC_PREFIX + topic, stoodFor.isEmpty() ? "tokens" : stoodFor);
  }

  private void awaitRunning() throws InterruptedException {
    final long deadline = System.nanoTime() + START_LIMIT.toNanos();
    while (!instances.stream().allMatch(Application::isRunning)) {
      if (System.nanoTime() > deadline) {
        throw new IllegalStateException("the replay was not ready within " + START_LIMIT);
      }
      Thread.sleep(50);
    }
  }

  String id() {
    return id;
  }

  /**
   * Sends prompts.
   *
   * @return the id of each request, by the name under which a request is answered whose id is
   *     refused
   */
  Map<String, String> send(final List<PromptRequest> prompts) {
    final String topic = config.getString(SarathiConfig.PROMPTS_TOPIC_CONFIG);
    final Map<String, Object> client = config.clients();
    client.put(
        "max.request.size", config.getInt(SarathiConfig.MAX_REQUEST_BYTES_CONFIG) + (1 << 20));
    final Map<String, String> ids = new ConcurrentHashMap<>();
    final AtomicReference<Exception> failure = new AtomicReference<>();
    try (Serializer<PromptRequest> serializer = SarathiSerdes.promptRequest(client).serializer();
        Producer<byte[], byte[]> producer =
            new KafkaProducer<>(client, new ByteArraySerializer(), new ByteArraySerializer())) {
      for (final PromptRequest prompt : prompts) {
        final String name = prompt.getId().orElseThrow();
        producer.send(
            new ProducerRecord<>(
                topic, name.getBytes(StandardCharsets.UTF_8), serializer.serialize(topic, prompt)),
            (sent, failed) -> {
              if (failed != null) {
                failure.compareAndSet(null, failed);
              } else {
                ids.put("%s-%d-%d".formatted(topic, sent.partition(), sent.offset()), name);
              }
            });
      }
      producer.flush();
    }
    if (failure.get() != null) {
      throw new IllegalStateException("the prompts cannot be sent to " + topic, failure.get());
    }
    return ids;
  }

  /**
   * Follows the generations until so many have ended.
   *
   * @param ended takes the key of a generation that has ended, and what it wrote
   */
  void follow(final int count, final BiConsumer<String, Recording> ended) {
    final String topic = config.getString(SarathiConfig.TOKENS_TOPIC_CONFIG);
    final Map<String, Recording> running = new HashMap<>();
    int left = count;
    long stalledAt = System.nanoTime() + STALL_LIMIT.toNanos();
    try (Consumer<byte[], byte[]> consumer = Topic.open(config.clients(), topic);
        Deserializer<TokenRecord> deserializer =
            SarathiSerdes.tokenRecord(config.clients()).deserializer()) {
      while (left > 0) {
        for (final ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
          stalledAt = System.nanoTime() + STALL_LIMIT.toNanos();
          final String key = new String(record.key(), StandardCharsets.UTF_8);
          final Recording recording = running.computeIfAbsent(key, name -> new Recording());
          recording.add(deserializer.deserialize(topic, record.value()));
          if (recording.hasEnded()) {
            ended.accept(key, running.remove(key));
            left--;
          }
        }
        if (System.nanoTime() > stalledAt) {
          throw new IllegalStateException(
              "nothing came of the replay for %s; %d of %d generations have not ended"
                  .formatted(STALL_LIMIT, left, count));
        }
      }
    }
  }

  @Override
  public void close() {
    if (!closed.compareAndSet(false, true)) {
      return;
    }
    instances.forEach(Application::close);
    if (keep) {
      LOG.info("the topics of replay {} are kept, in {} its state", id, directory);
    } else {
      deleteTopics();
      deleteDirectory();
    }
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (final IllegalStateException e) {
      // It is the hook that closes.
    }
  }

  private void deleteTopics() {
    try (Admin admin = Admin.create(config.clients())) {
      final List<String> topics =
          admin.listTopics().names().get(30, TimeUnit.SECONDS).stream()
              .filter(topic -> topic.startsWith(id + "-"))
              .toList();
      admin.deleteTopics(topics).all().get(30, TimeUnit.SECONDS);
      admin.deleteConsumerGroups(List.of(id)).all().get(30, TimeUnit.SECONDS);
    } catch (final ExecutionException | TimeoutException e) {
      LOG.warn("topics or group of replay {} are left: {}", id, e.toString());
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void deleteDirectory() {
    try (Stream<Path> files = Files.walk(directory)) {
      for (final Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    } catch (final IOException | UncheckedIOException e) {
      LOG.warn("{} is left: {}", directory, e.toString());
    }
  }
}
