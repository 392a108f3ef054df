package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenRecord;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** What a {@code read_committed} consumer sees of the tokens topic, by request. */
final class TokenLog implements AutoCloseable {
  private final Consumer<String, TokenRecord> consumer;
  private final Map<String, List<ConsumerRecord<String, TokenRecord>>> records =
      new LinkedHashMap<>();

  TokenLog(final String bootstrapServers, final String topic) {
    this(bootstrapServers, topic, "mock://tests");
  }

  TokenLog(final String bootstrapServers, final String topic, final String registry) {
    this.consumer =
        new KafkaConsumer<>(
            Map.of("bootstrap.servers", bootstrapServers, "isolation.level", "read_committed"),
            new StringDeserializer(),
            SarathiSerdes.tokenRecord(Map.of("schema.registry.url", registry)).deserializer());
    consumer.assign(
        consumer.partitionsFor(topic).stream()
            .map(partition -> new TopicPartition(topic, partition.partition()))
            .toList());
    consumer.seekToBeginning(consumer.assignment());
  }

  void poll() {
    consumer
        .poll(Duration.ofMillis(100))
        .forEach(
            record -> records.computeIfAbsent(record.key(), k -> new ArrayList<>()).add(record));
  }

  long terminals() {
    return records.values().stream()
        .flatMap(List::stream)
        .filter(record -> record.value().getLast())
        .count();
  }

  int tokens() {
    return records.values().stream()
        .flatMap(List::stream)
        .mapToInt(record -> record.value().getTokenIds().size())
        .sum();
  }

  void awaitTerminals(final int count, final Duration limit) {
    awaitTerminals(count, limit, () -> "");
  }

  /** Waits for that many ends; a failure tells also what the application has logged. */
  void awaitTerminals(final int count, final Duration limit, final Supplier<String> logged) {
    final long deadline = System.nanoTime() + limit.toNanos();
    while (terminals() < count) {
      assertThat(System.nanoTime())
          .as(() -> terminals() + " of " + count + " requests ended within " + limit + logged.get())
          .isLessThan(deadline);
      poll();
    }
    // A record too many would come now.
    for (int i = 0; i < 5; i++) {
      poll();
    }
  }

  Set<String> ids() {
    return records.keySet();
  }

  List<TokenRecord> of(final String id) {
    return records.getOrDefault(id, List.of()).stream().map(ConsumerRecord::value).toList();
  }

  /** Highest attempt that one of the request's records names. */
  int attempts(final String id) {
    return of(id).stream().mapToInt(TokenRecord::getAttempt).max().orElse(0);
  }

  /** Every choice as the oracle's, in one partition, and one last record. */
  void assertExactlyOnce(final String id, final List<Oracle.Answer> expected) {
    final List<TokenRecord> all = of(id);
    for (int choice = 0; choice < expected.size(); choice++) {
      assertExactlyOnce(id, choice, expected.get(choice));
    }
    assertThat(all).as("choices of %s", id).allMatch(r -> r.getChoice() < expected.size());
    assertThat(all.stream().filter(TokenRecord::getLast))
        .as("last records of %s", id)
        .singleElement()
        .isSameAs(all.getLast());
    assertThat(
            records.getOrDefault(id, List.of()).stream()
                .map(ConsumerRecord::partition)
                .collect(Collectors.toSet()))
        .as("partitions of %s", id)
        .hasSize(1);
  }

  /** Without gap or repetition, with one terminal record, and as the oracle. */
  private void assertExactlyOnce(final String id, final int choice, final Oracle.Answer expected) {
    final List<Integer> tokens = new ArrayList<>();
    final StringBuilder text = new StringBuilder();
    final List<TokenRecord> all =
        of(id).stream().filter(record -> record.getChoice() == choice).toList();
    for (final TokenRecord record : all) {
      assertThat(record.getIndex()).as("index in %s#%d", id, choice).isEqualTo(tokens.size());
      tokens.addAll(record.getTokenIds());
      text.append(record.getText());
    }
    assertThat(tokens).as("tokens of %s#%d", id, choice).isEqualTo(expected.tokens());
    assertThat(text.toString()).as("text of %s#%d", id, choice).isEqualTo(expected.text());
    assertThat(all.stream().filter(record -> record.getFinishReason().isPresent()))
        .as("terminal records of %s#%d", id, choice)
        .singleElement()
        .isSameAs(all.getLast());
    assertThat(all.getLast().getFinishReason())
        .contains(FinishReason.valueOf(expected.reason().name()));
  }

  @Override
  public void close() {
    consumer.close();
  }
}
