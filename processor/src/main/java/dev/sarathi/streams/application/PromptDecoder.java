package dev.sarathi.streams.application;

import dev.sarathi.schemas.PromptRequest;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.metrics.Sensor;
import org.apache.kafka.common.metrics.Sensor.RecordingLevel;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.Cancellable;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Decodes prompt requests from bytes; what cannot be decoded goes to the dead letters as it came.
 * Decoding here rather than in the source node keeps the original bytes, and tells a bad record
 * from a registry that is away.
 *
 * <p>While the registry is away, records whose schema is not known yet are held in a store, and
 * their offsets commit; generation and all other records go on. Rejected alternatives: to wait
 * holds up the thread, and with it the tokens of every generation that runs; to fail gives the
 * tasks up, and they come back to the same record, having restored their stores for nothing.
 *
 * <p>Threading: confined to the stream thread.
 */
final class PromptDecoder implements Processor<byte[], byte[], byte[], Object> {
  /** The store of what is held, by offset. */
  static final String HELD = "decode-held";

  private static final Logger LOG = LoggerFactory.getLogger(PromptDecoder.class);
  private static final Duration INTERVAL = Duration.ofMillis(100);

  /** So that those who watch tokens come do not see a gap when an outage ends. */
  private static final int RELEASED_AT_ONCE = 250;

  private static final byte MAGIC = 0;

  /**
   * The decoder's children.
   *
   * @param prompts takes the decoded prompts
   * @param deadLetters takes what cannot be decoded
   * @param fences takes the records that fence zombies off, back to the prompts
   */
  record Children(String prompts, String deadLetters, String fences) {}

  private final Deserializer<PromptRequest> deserializer;
  private final RegistryOutage outage;
  private final Children children;

  /** Ids of schemas that need not be asked for any more. */
  private final Set<Integer> known = new HashSet<>();

  private ProcessorContext<byte[], Object> context;
  private KeyValueStore<Long, byte[]> held;
  private Sensor undecodable;
  private Cancellable punctuation;
  private boolean holding;

  /**
   * Whether a record has come to this incarnation: only then are its commits checked, and may what
   * is held go on. See {@link dev.sarathi.streams.Generation.Named#fencing}.
   */
  private boolean fenced;

  private boolean fenceSent;

  PromptDecoder(
      final Deserializer<PromptRequest> deserializer,
      final RegistryOutage outage,
      final Children children) {
    this.deserializer = deserializer;
    this.outage = outage;
    this.children = children;
  }

  /**
   * @param largest what a record of the prompts may take, in bytes
   */
  static StoreBuilder<?> heldBuilder(final int largest) {
    return Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore(HELD), Serdes.Long(), Serdes.ByteArray())
        .withLoggingEnabled(
            Map.of(TopicConfig.MAX_MESSAGE_BYTES_CONFIG, Integer.toString(largest)));
  }

  @Override
  public void init(final ProcessorContext<byte[], Object> processorContext) {
    this.context = processorContext;
    this.undecodable =
        context
            .metrics()
            .addRateTotalSensor(
                "decode", "decode-" + context.taskId(), "undecodable", RecordingLevel.INFO);
    this.held = context.getStateStore(HELD);
    this.holding = holdsAny();
    this.fenced = false;
    this.fenceSent = false;
    this.punctuation =
        context.schedule(INTERVAL, PunctuationType.WALL_CLOCK_TIME, now -> release());
  }

  private boolean holdsAny() {
    try (KeyValueIterator<Long, byte[]> all = held.all()) {
      return all.hasNext();
    }
  }

  @Override
  public void close() {
    punctuation.cancel();
    context.metrics().removeSensor(undecodable);
  }

  // ---- a record comes in

  @Override
  public void process(final Record<byte[], byte[]> record) {
    fenced = true;
    final RecordMetadata place =
        context
            .recordMetadata()
            .orElseThrow(() -> new IllegalStateException("a prompt without topic and offset"));
    if (record.value() == null) {
      context.forward(record.withValue((Object) null), children.prompts());
      if (holding && !FenceRecord.is(record.headers())) {
        // It may cancel what is held, too; what it has cancelled already it cannot harm.
        hold(record, place);
      }
    } else if (holding && !isKnown(record.value()) || !pass(record, place)) {
      hold(record, place);
    }
  }

  /** Whether its schema was there before, or it has none to be asked for. */
  private boolean isKnown(final byte[] value) {
    final OptionalInt schema = schemaOf(value);
    return schema.isEmpty() || known.contains(schema.getAsInt());
  }

  private static OptionalInt schemaOf(final byte[] value) {
    return value.length > Integer.BYTES && value[0] == MAGIC
        ? OptionalInt.of(ByteBuffer.wrap(value).getInt(1))
        : OptionalInt.empty();
  }

  private void hold(final Record<byte[], byte[]> record, final RecordMetadata place) {
    held.put(place.offset(), new HeldPrompt(place.topic(), record).encode());
    holding = true;
  }

  /**
   * Forwards a record, decoded, or to the dead letters.
   *
   * @return whether it did; not if the registry has to be asked and is away
   */
  private boolean pass(final Record<byte[], byte[]> record, final RecordMetadata place) {
    final PromptRequest request;
    try {
      request = deserializer.deserialize(place.topic(), record.headers(), record.value());
    } catch (final RuntimeException e) {
      if (RegistryOutage.isAway(e)) {
        outage.met(place.topic(), record, e);
        return false;
      }
      bury(record, place, e);
      return true;
    }
    schemaOf(record.value()).ifPresent(known::add);
    final SourcePrompt prompt =
        new SourcePrompt(
            PromptRequests.idOf(
                request, record.key(), place.topic(), place.partition(), place.offset()),
            request,
            Instant.ofEpochMilli(record.timestamp()),
            record.value(),
            Optional.of(place));
    context.forward(record.withValue((Object) prompt), children.prompts());
    return true;
  }

  private void bury(
      final Record<byte[], byte[]> record,
      final RecordMetadata place,
      final RuntimeException reason) {
    LOG.warn(
        "prompt at {}-{} offset {} cannot be decoded and goes to the dead letters: {}",
        place.topic(),
        place.partition(),
        place.offset(),
        reason.toString());
    undecodable.record();
    context.forward(
        DeadLetters.letter(
            record.key(),
            record.value(),
            record.headers(),
            record.timestamp(),
            reason,
            place.topic(),
            place.partition(),
            place.offset()),
        children.deadLetters());
  }

  // ---- what is held goes on

  private void release() {
    if (!holding || outage.isOn()) {
      return;
    }
    if (fenced) {
      holding = !releaseSome();
      context.commit();
    } else if (!fenceSent) {
      final int partition = context.taskId().partition();
      context.forward(FenceRecord.of(partition).withValue((Object) null), children.fences());
      context.commit();
      fenceSent = true;
    }
  }

  /**
   * @return whether nothing is left
   */
  private boolean releaseSome() {
    try (KeyValueIterator<Long, byte[]> all = held.all()) {
      for (int released = 0; all.hasNext(); released++) {
        if (released == RELEASED_AT_ONCE) {
          return false;
        }
        final KeyValue<Long, byte[]> next = all.next();
        final HeldPrompt prompt = HeldPrompt.decode(next.value);
        if (prompt.record().value() == null) {
          context.forward(prompt.record().withValue((Object) null), children.prompts());
        } else if (!pass(
            prompt.record(), new Place(prompt.topic(), context.taskId().partition(), next.key))) {
          return false;
        }
        held.delete(next.key);
      }
      return true;
    }
  }

  /** Where a held record was read. */
  private record Place(String topic, int partition, long offset) implements RecordMetadata {}
}
