package dev.sarathi.tests;

import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import java.util.Collection;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Sends prompts. */
final class Prompts {
  private Prompts() {}

  static void send(
      final String bootstrapServers, final String topic, final Collection<PromptRequest> requests) {
    send(bootstrapServers, topic, "mock://tests", requests);
  }

  static void send(
      final String bootstrapServers,
      final String topic,
      final String registry,
      final Collection<PromptRequest> requests) {
    try (Producer<String, PromptRequest> producer =
        new KafkaProducer<>(
            Map.of(
                "bootstrap.servers",
                bootstrapServers,
                "max.request.size",
                1 << 22,
                // Few go in one batch, and so are read at once.
                "linger.ms",
                100),
            new StringSerializer(),
            SarathiSerdes.promptRequest(Map.of("schema.registry.url", registry)).serializer())) {
      for (final PromptRequest request : requests) {
        producer.send(new ProducerRecord<>(topic, request.getId().orElseThrow(), request));
      }
      producer.flush();
    }
  }

  /** Cancels requests by the tombstones of their ids. */
  static void cancel(
      final String bootstrapServers, final String topic, final Collection<String> ids) {
    try (Producer<String, byte[]> producer =
        new KafkaProducer<>(
            Map.of("bootstrap.servers", bootstrapServers),
            new StringSerializer(),
            new ByteArraySerializer())) {
      ids.forEach(id -> producer.send(new ProducerRecord<>(topic, id, null)));
    }
  }
}
