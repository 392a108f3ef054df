package dev.sarathi.tests.chaos;

import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.CompletionChoice;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenRecord;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * All that a {@code read_committed} consumer sees of a phase's outputs, from their beginning on.
 *
 * <p>Threading: a thread of its own reads; the maps are for others once it is stopped, the counts
 * and sets at any time.
 */
final class OutputLog implements AutoCloseable {
  private final Phase phase;
  private final Consumer<String, byte[]> consumer;
  private final Deserializer<TokenRecord> tokenRecords =
      SarathiSerdes.tokenRecord(Phase.REGISTRY).deserializer();
  private final Deserializer<Completion> completionRecords =
      SarathiSerdes.completion(Phase.REGISTRY).deserializer();
  private final Map<String, List<Seen.Tokens>> tokens = new HashMap<>();
  private final Map<String, List<Seen.Completion>> completions = new HashMap<>();
  private final List<Anomaly> anomalies = new ArrayList<>();
  private final Set<String> ended = ConcurrentHashMap.newKeySet();
  private final Set<String> completed = ConcurrentHashMap.newKeySet();
  private final Set<String> sentinels = ConcurrentHashMap.newKeySet();
  private final AtomicLong committedTokens = new AtomicLong();
  private final AtomicLong records = new AtomicLong();
  private final Thread reader;
  private volatile boolean closed;

  OutputLog(final String bootstrapServers, final Phase phase) {
    this.phase = phase;
    this.consumer =
        new KafkaConsumer<>(
            Map.of(
                "bootstrap.servers",
                bootstrapServers,
                "isolation.level",
                "read_committed",
                "request.timeout.ms",
                "5000"),
            new StringDeserializer(),
            new ByteArrayDeserializer());
    consumer.assign(partitions(phase));
    consumer.seekToBeginning(consumer.assignment());
    this.reader = Thread.ofPlatform().daemon().name("output-log").start(this::read);
  }

  /** All partitions of the outputs, the dead letters among them. */
  static List<TopicPartition> partitions(final Phase phase) {
    final List<TopicPartition> all = new ArrayList<>();
    for (final String topic :
        List.of(phase.tokensTopic(), phase.completionsTopic(), phase.deadLettersTopic())) {
      for (int partition = 0; partition < Phase.PARTITIONS; partition++) {
        all.add(new TopicPartition(topic, partition));
      }
    }
    return all;
  }

  private void read() {
    while (!closed) {
      try {
        consumer.poll(Duration.ofMillis(100)).forEach(this::take);
      } catch (final KafkaException e) {
        // A broker is gone; the next poll asks another.
      }
    }
    consumer.close();
  }

  private void take(final ConsumerRecord<String, byte[]> record) {
    if (record.key() != null && record.key().startsWith(Sentinels.PREFIX)) {
      sentinels.add(record.key());
      return;
    }
    try {
      if (record.topic().equals(phase.tokensTopic())) {
        takeTokens(record, tokenRecords.deserialize(record.topic(), record.value()));
      } else if (record.topic().equals(phase.completionsTopic())) {
        takeCompletion(record, completionRecords.deserialize(record.topic(), record.value()));
      } else {
        anomalies.add(new Anomaly(Anomaly.Kind.DEAD_LETTER, record.key(), record.toString()));
      }
    } catch (final RuntimeException e) {
      anomalies.add(
          new Anomaly(Anomaly.Kind.UNREADABLE_RECORD, String.valueOf(record.key()), e.toString()));
    }
  }

  private void takeTokens(final ConsumerRecord<String, byte[]> source, final TokenRecord record) {
    final Header incarnation = source.headers().lastHeader(IncarnationHeader.NAME);
    tokens
        .computeIfAbsent(source.key(), id -> new ArrayList<>())
        .add(
            new Seen.Tokens(
                source.key(),
                source.partition(),
                record.getChoice(),
                record.getIndex(),
                List.copyOf(record.getTokenIds()),
                record.getText(),
                record.getFinishReason(),
                record.getLast(),
                record.getAttempt(),
                incarnation == null
                    ? "unknown"
                    : new String(incarnation.value(), StandardCharsets.UTF_8)));
    records.incrementAndGet();
    committedTokens.addAndGet(record.getTokenIds().size());
    if (record.getLast()) {
      ended.add(source.key());
    }
  }

  private void takeCompletion(
      final ConsumerRecord<String, byte[]> source, final Completion completion) {
    final List<CompletionChoice> choices = completion.getChoices();
    completions
        .computeIfAbsent(source.key(), id -> new ArrayList<>())
        .add(
            new Seen.Completion(
                source.key(),
                source.partition(),
                choices.isEmpty()
                    ? List.of(List.copyOf(completion.getTokenIds()))
                    : choices.stream().map(c -> List.copyOf(c.getTokenIds())).toList(),
                choices.isEmpty()
                    ? List.of(completion.getText())
                    : choices.stream().map(CompletionChoice::getText).toList()));
    completed.add(source.key());
  }

  long committedTokens() {
    return committedTokens.get();
  }

  /** How many token records there were. */
  long records() {
    return records.get();
  }

  boolean hasEnded(final String id) {
    return ended.contains(id) && completed.contains(id);
  }

  int ended() {
    return ended.size();
  }

  Set<String> sentinels() {
    return sentinels;
  }

  Map<String, List<Seen.Tokens>> tokens() {
    return tokens;
  }

  Map<String, List<Seen.Completion>> completions() {
    return completions;
  }

  /** What was wrong with the records themselves. */
  List<Anomaly> anomalies() {
    return anomalies;
  }

  @Override
  public void close() {
    stop();
  }

  /** Reads no further. */
  void stop() {
    closed = true;
    try {
      reader.join();
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
