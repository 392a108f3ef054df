package dev.sarathi.streams.http;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsMetadata;

/**
 * The instances of the application, as Kafka Streams knows them.
 *
 * <p>Threading: any thread.
 */
final class Instances {
  private static final Duration LIMIT = Duration.ofSeconds(3);

  private final KafkaStreams streams;
  private final String address;

  /**
   * @param address of this instance, as the others know it
   */
  Instances(final KafkaStreams streams, final String address) {
    this.streams = streams;
    this.address = address;
  }

  /** How the others know this instance. */
  String address() {
    return address;
  }

  /** All of them, with their partitions. */
  ArrayNode json() {
    final ArrayNode instances = JsonNodeFactory.instance.arrayNode();
    for (final StreamsMetadata instance : streams.metadataForAllStreamsClients()) {
      final ObjectNode node = instances.addObject();
      node.put("address", addressOf(instance).orElse(null));
      final ArrayNode partitions = node.putArray("partitions");
      instance.topicPartitions().stream()
          .map(TopicPartition::toString)
          .sorted()
          .forEach(partitions::add);
    }
    return instances;
  }

  /** Streams says so of an instance that does not tell its address. */
  private static Optional<String> addressOf(final StreamsMetadata instance) {
    return "unavailable".equals(instance.host())
        ? Optional.empty()
        : Optional.of(instance.host() + ":" + instance.port());
  }

  /**
   * What the others say of a request.
   *
   * @param found what the one that has it says
   * @param silent those that did not answer
   */
  record Found(Optional<JsonNode> found, List<String> silent) {}

  /** Asks all others for a request, at the same time. */
  Found find(final String id) throws InterruptedException {
    final String path =
        "/requests/" + URLEncoder.encode(id, StandardCharsets.UTF_8).replace("+", "%20");
    final List<String> silent = new ArrayList<>();
    Optional<JsonNode> found = Optional.empty();
    try (HttpClient client = HttpClient.newBuilder().connectTimeout(LIMIT).build()) {
      record Asked(String instance, CompletableFuture<HttpResponse<byte[]>> answer) {}
      final List<Asked> asked = new ArrayList<>();
      for (final StreamsMetadata instance : streams.metadataForAllStreamsClients()) {
        final Optional<String> other = addressOf(instance);
        if (other.isEmpty()) {
          silent.add("an instance that does not listen");
        } else if (!other.get().equals(address)) {
          asked.add(
              new Asked(
                  other.get(),
                  client.sendAsync(
                      HttpRequest.newBuilder(URI.create("http://" + other.get() + path))
                          .timeout(LIMIT)
                          .build(),
                      BodyHandlers.ofByteArray())));
        }
      }
      for (final Asked other : asked) {
        try {
          final HttpResponse<byte[]> answer = other.answer.join();
          if (answer.statusCode() == 200) {
            found = Optional.of(Answer.JSON.readTree(answer.body()));
          } else if (answer.statusCode() != 404) {
            silent.add(other.instance);
          }
        } catch (final RuntimeException | IOException e) {
          silent.add(other.instance);
        }
      }
    }
    return new Found(found, silent);
  }
}
