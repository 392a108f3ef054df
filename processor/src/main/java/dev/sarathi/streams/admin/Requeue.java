package dev.sarathi.streams.admin;

import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.streams.SarathiConfig;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.streams.StreamsConfig;

/**
 * Puts dead letters back into the prompts, each at most once: what was put back commits in one
 * transaction with the note that it was.
 *
 * <p>The note is a committed offset of the group {@code <application.id>-requeue}, before which all
 * letters were put back, and in its metadata the offsets behind it that were. Two that run at once
 * exclude each other: the later one fences the earlier. The brokers keep the note for {@code
 * offsets.retention.minutes} after the last run, seven days by default.
 */
public final class Requeue {
  private static final Duration POLL = Duration.ofMillis(200);

  /** Within what a broker takes as an offset's metadata by default. */
  private static final int MAX_NOTE = 4_000;

  private static final int LETTERS_IN_A_TRANSACTION = 500;

  private final SarathiConfig config;
  private final String letters;
  private final String prompts;
  private final String group;
  private final Map<TopicPartition, Note> notes = new HashMap<>();

  /**
   * What was put back of a partition. Between two letters lie the markers of transactions: offsets
   * that nobody will see, which a range may pass over.
   */
  private static final class Note {
    private long committed;
    private final Ranges beyond;
    private boolean someLeft;
    private boolean lastDone;
    private long last;

    private Note(final Optional<OffsetAndMetadata> stored) {
      this.committed = stored.map(OffsetAndMetadata::offset).orElse(0L);
      this.beyond = Ranges.parse(stored.map(OffsetAndMetadata::metadata).orElse(""));
    }

    private boolean isDone(final long offset) {
      return offset < committed || beyond.contains(offset);
    }

    /** Takes down the letters in their order, whether put back or left. */
    private void add(final long offset, final boolean done) {
      if (!done) {
        someLeft = true;
      } else if (someLeft) {
        beyond.add(lastDone ? last : offset, offset);
      } else {
        committed = Math.max(committed, offset + 1);
        beyond.removeBefore(committed);
      }
      lastDone = done;
      last = offset;
    }

    private OffsetAndMetadata stored() {
      return new OffsetAndMetadata(committed, beyond.toString());
    }
  }

  public Requeue(final SarathiConfig config) {
    this.config = config;
    this.letters = config.getString(SarathiConfig.DEAD_LETTERS_TOPIC_CONFIG);
    this.prompts = config.getString(SarathiConfig.PROMPTS_TOPIC_CONFIG);
    this.group = config.originals().get(StreamsConfig.APPLICATION_ID_CONFIG) + "-requeue";
  }

  /**
   * Puts back the letters that are wanted and were not put back before.
   *
   * @param wanted asked of every letter that is there
   * @param putBack hears of each that was put back, once that is committed
   * @return how many were wanted, but had been put back before
   * @throws IllegalStateException naming the rights that it takes, if one is missing
   */
  public int run(final Predicate<DeadLetter> wanted, final Consumer<DeadLetter> putBack) {
    try {
      return requeue(wanted, putBack);
    } catch (final KafkaException e) {
      throw Rights.explain(
          e,
          List.of(
              "READ on topic " + letters,
              "WRITE on topic " + prompts,
              "READ on group " + group,
              "WRITE on transactional id " + group));
    }
  }

  private int requeue(final Predicate<DeadLetter> wanted, final Consumer<DeadLetter> putBack) {
    try (Producer<byte[], byte[]> producer = producer();
        KafkaConsumer<byte[], byte[]> consumer = consumer();
        Deserializer<PromptRequest> deserializer =
            SarathiSerdes.promptRequest(config.clients()).deserializer()) {
      // First: an earlier run that is still at it can commit nothing more.
      producer.initTransactions();
      final Map<TopicPartition, Long> ends = assign(consumer);
      final int partitions = producer.partitionsFor(prompts).size();
      final List<DeadLetter> batch = new ArrayList<>();
      int before = 0;
      while (!isPast(consumer, ends)) {
        for (final ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
          final TopicPartition partition = new TopicPartition(letters, record.partition());
          if (record.offset() >= ends.get(partition)) {
            continue;
          }
          final Note note = notes.get(partition);
          final boolean done = note.isDone(record.offset());
          final DeadLetter letter = DeadLetter.of(record, deserializer);
          final boolean asked = wanted.test(letter);
          note.add(record.offset(), done || asked);
          if (asked && done) {
            before++;
          } else if (asked) {
            batch.add(letter);
          }
        }
        if (batch.size() >= LETTERS_IN_A_TRANSACTION) {
          send(producer, consumer.groupMetadata(), batch, partitions, putBack);
        }
      }
      // With nothing to put back, too: the note is then kept for longer.
      send(producer, consumer.groupMetadata(), batch, partitions, putBack);
      return before;
    }
  }

  private Producer<byte[], byte[]> producer() {
    final Map<String, Object> properties = config.clients();
    properties.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, group);
    properties.put(
        ProducerConfig.MAX_REQUEST_SIZE_CONFIG,
        config.getInt(SarathiConfig.MAX_REQUEST_BYTES_CONFIG) + (1 << 20));
    return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
  }

  private KafkaConsumer<byte[], byte[]> consumer() {
    final Map<String, Object> properties = config.clients();
    properties.put(ConsumerConfig.GROUP_ID_CONFIG, group);
    properties.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
    properties.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
    properties.put(ConsumerConfig.ALLOW_AUTO_CREATE_TOPICS_CONFIG, false);
    properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    return new KafkaConsumer<>(
        properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  /** Reads the notes, begins with the first letter of each partition, and says where they end. */
  private Map<TopicPartition, Long> assign(final KafkaConsumer<byte[], byte[]> consumer) {
    final Set<TopicPartition> partitions =
        consumer.partitionsFor(letters).stream()
            .map(partition -> new TopicPartition(letters, partition.partition()))
            .collect(Collectors.toSet());
    consumer.assign(partitions);
    final Map<TopicPartition, OffsetAndMetadata> stored = consumer.committed(partitions);
    for (final TopicPartition partition : partitions) {
      notes.put(partition, new Note(Optional.ofNullable(stored.get(partition))));
    }
    consumer.seekToBeginning(partitions);
    return consumer.endOffsets(partitions);
  }

  private static boolean isPast(
      final KafkaConsumer<?, ?> consumer, final Map<TopicPartition, Long> ends) {
    return ends.entrySet().stream()
        .allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
  }

  private void send(
      final Producer<byte[], byte[]> producer,
      final ConsumerGroupMetadata member,
      final List<DeadLetter> batch,
      final int partitions,
      final Consumer<DeadLetter> putBack) {
    final Map<TopicPartition, OffsetAndMetadata> stored = new HashMap<>();
    notes.forEach((partition, note) -> stored.put(partition, note.stored()));
    stored.forEach(Requeue::requireShort);
    producer.beginTransaction();
    try {
      for (final DeadLetter letter : batch) {
        // Where it came from, its id is known.
        producer.send(
            letter.original(
                prompts,
                letter.partitionOf(prompts).filter(number -> number < partitions).orElse(null)));
      }
      producer.sendOffsetsToTransaction(stored, member);
      producer.commitTransaction();
    } catch (final RuntimeException e) {
      abort(producer, e);
      throw e;
    }
    batch.forEach(putBack);
    batch.clear();
  }

  private static void abort(final Producer<?, ?> producer, final RuntimeException failure) {
    try {
      producer.abortTransaction();
    } catch (final RuntimeException e) {
      failure.addSuppressed(e);
    }
  }

  private static void requireShort(final TopicPartition partition, final OffsetAndMetadata note) {
    if (note.metadata().length() > MAX_NOTE) {
      throw new IllegalStateException(
          ("the letters of %s that were put back are too scattered to be written down (%d"
                  + " characters, at most %d): put back all of a range of offsets")
              .formatted(partition, note.metadata().length(), MAX_NOTE));
    }
  }
}
