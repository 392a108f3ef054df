package dev.sarathi.streams.internal;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.Finish;
import dev.sarathi.streams.GenerationResult;
import dev.sarathi.streams.GenerationResult.Completion;
import dev.sarathi.streams.GenerationResult.Rejected;
import dev.sarathi.streams.GenerationResult.Tokens;
import dev.sarathi.streams.internal.stored.StoredChunk;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.WindowStore;
import org.apache.kafka.streams.test.TestRecord;

/** One incarnation of the node {@code generate}, from {@code prompts} to {@code results}. */
final class GenerationNode implements AutoCloseable {
  private static final Duration TURN = Duration.ofMillis(10);
  private static final Duration PATIENCE = Duration.ofSeconds(20);
  private static final StoreNames NAMES = new StoreNames("generate");

  /** Results cross the topology as numbers. */
  private static final Map<Integer, GenerationResult<String, String>> RESULTS =
      new ConcurrentHashMap<>();

  private static final AtomicInteger NEXT_RESULT = new AtomicInteger();

  final List<TestRecord<String, GenerationResult<String, String>>> records = new ArrayList<>();
  private final TopologyTestDriver driver;
  private final TestInputTopic<String, String> prompts;
  private final TestOutputTopic<String, GenerationResult<String, String>> results;

  GenerationNode(final Topology topology, final Path directory) {
    this(topology, directory, StreamsConfig.EXACTLY_ONCE_V2, Instant.now());
  }

  GenerationNode(
      final Topology topology, final Path directory, final String guarantee, final Instant clock) {
    final Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, "node-" + UUID.randomUUID());
    properties.put(StreamsConfig.STATE_DIR_CONFIG, directory.toString());
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, guarantee);
    this.driver = new TopologyTestDriver(topology, properties, clock);
    this.prompts =
        driver.createInputTopic("prompts", new StringSerializer(), new StringSerializer());
    this.results =
        driver.createOutputTopic("results", new StringDeserializer(), resultSerde().deserializer());
  }

  static Serde<GenerationResult<String, String>> resultSerde() {
    final Deserializer<GenerationResult<String, String>> deserializer =
        (topic, bytes) -> RESULTS.get(ByteBuffer.wrap(bytes).getInt());
    return Serdes.serdeFrom(
        (topic, result) -> {
          final int number = NEXT_RESULT.getAndIncrement();
          RESULTS.put(number, result);
          return ByteBuffer.allocate(Integer.BYTES).putInt(number).array();
        },
        deserializer);
  }

  void send(final String key, final String value) {
    send(key, value, new RecordHeaders());
  }

  void send(final String key, final String value, final Headers headers) {
    prompts.pipeInput(new TestRecord<>(key, value, headers, Instant.now()));
    read();
  }

  /** The keys of what came into another topic since the last look. */
  List<String> keysIn(final String topic) {
    return driver
        .createOutputTopic(topic, new StringDeserializer(), new StringDeserializer())
        .readKeyValuesToList()
        .stream()
        .map(record -> record.key)
        .toList();
  }

  /** The total of one of the processor's metrics. */
  double total(final String operation) {
    return driver.metrics().entrySet().stream()
        .filter(entry -> entry.getKey().name().equals(operation + "-total"))
        .mapToDouble(entry -> (double) entry.getValue().metricValue())
        .sum();
  }

  /**
   * The names of the tags of each of the processor's metrics, in the order in which JMX has them.
   */
  Set<List<String>> tagOrders() {
    return driver.metrics().keySet().stream()
        .filter(name -> name.group().equals("stream-generation-metrics"))
        .map(name -> List.copyOf(name.tags().keySet()))
        .collect(Collectors.toSet());
  }

  void cancel(final String id) {
    send(id, null);
  }

  void turn() {
    advance(TURN);
  }

  void advance(final Duration duration) {
    driver.advanceWallClockTime(duration);
    read();
  }

  private void read() {
    records.addAll(results.readRecordsToList());
  }

  void until(final BooleanSupplier condition) {
    final long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as("records so far: %s", records).isLessThan(deadline);
      turn();
      pause();
    }
  }

  void untilEnded(final String... ids) {
    for (final String id : ids) {
      until(() -> finish(id).isPresent());
    }
    // What should not come would come now.
    turn();
    turn();
  }

  static void pause() {
    try {
      Thread.sleep(2);
    } catch (final InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  // ---- what came out

  private <T> List<T> of(final Class<? super T> type, final String id) {
    final List<T> found = new ArrayList<>();
    for (final TestRecord<String, GenerationResult<String, String>> record : records) {
      if (type.isInstance(record.value()) && record.value().id().equals(id)) {
        @SuppressWarnings("unchecked")
        final T result = (T) record.value();
        found.add(result);
      }
    }
    return found;
  }

  List<Tokens<String, String>> parts(final String id) {
    return of(Tokens.class, id);
  }

  List<Tokens<String, String>> parts(final String id, final int choice) {
    return parts(id).stream().filter(part -> part.choice() == choice).toList();
  }

  List<Completion<String, String>> completions(final String id) {
    return of(Completion.class, id);
  }

  List<Rejected<String, String>> rejections(final String id) {
    return of(Rejected.class, id);
  }

  Optional<Finish> finish(final String id) {
    return completions(id).stream().map(Completion::finish).findFirst();
  }

  List<Integer> tokens(final String id) {
    return parts(id).stream().flatMap(part -> part.tokens().stream()).toList();
  }

  String text(final String id) {
    final StringBuilder text = new StringBuilder();
    parts(id).forEach(part -> text.append(part.text()));
    return text.toString();
  }

  /** Ids in the order in which their requests ended. */
  List<String> ends() {
    return records.stream()
        .map(TestRecord::value)
        .filter(Completion.class::isInstance)
        .map(GenerationResult::id)
        .toList();
  }

  // ---- what is stored

  KeyValueStore<Bytes, byte[]> requests() {
    return driver.getKeyValueStore(NAMES.requests());
  }

  KeyValueStore<Bytes, byte[]> progress() {
    return driver.getKeyValueStore(NAMES.progress());
  }

  private KeyValueStore<String, byte[]> identities() {
    return driver.getKeyValueStore(NAMES.identities());
  }

  /** Null where the node does not count jobs. */
  private KeyValueStore<String, byte[]> jobs() {
    return driver.getKeyValueStore(NAMES.jobs());
  }

  private WindowStore<String, byte[]> finished() {
    return driver.getWindowStore(NAMES.finished());
  }

  /** The position of the only stored request. */
  Bytes position() {
    final List<Bytes> positions = keys(requests());
    assertThat(positions).hasSize(1);
    return positions.getFirst();
  }

  List<Bytes> keys(final KeyValueStore<Bytes, byte[]> store) {
    final List<Bytes> keys = new ArrayList<>();
    try (KeyValueIterator<Bytes, byte[]> all = store.all()) {
      all.forEachRemaining(entry -> keys.add(entry.key));
    }
    return keys;
  }

  List<StoredChunk> chunks(final Bytes position) {
    final List<StoredChunk> chunks = new ArrayList<>();
    try (KeyValueIterator<Bytes, byte[]> all =
        progress().range(Position.chunkKey(position, 0, 0), Position.endKey(position))) {
      while (all.hasNext()) {
        chunks.add(StoredChunk.fromByteBuffer(ByteBuffer.wrap(all.next().value)));
      }
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
    return chunks;
  }

  /** Takes over all state, as a restored task does. */
  void restoreFrom(final GenerationNode earlier) {
    copy(earlier.requests(), requests());
    copy(earlier.progress(), progress());
    copy(earlier.identities(), identities());
    if (earlier.jobs() != null) {
      copy(earlier.jobs(), jobs());
    }
    try (KeyValueIterator<Windowed<String>, byte[]> all = earlier.finished().all()) {
      while (all.hasNext()) {
        final KeyValue<Windowed<String>, byte[]> entry = all.next();
        finished().put(entry.key.key(), entry.value, entry.key.window().start());
      }
    }
  }

  private static <K> void copy(
      final KeyValueStore<K, byte[]> from, final KeyValueStore<K, byte[]> to) {
    try (KeyValueIterator<K, byte[]> all = from.all()) {
      all.forEachRemaining(entry -> to.put(entry.key, entry.value));
    }
  }

  @Override
  public void close() {
    driver.close();
  }
}
