package dev.sarathi.streams.replay;

import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.streams.SarathiConfig;
import dev.sarathi.streams.application.PromptRequests;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.UUID;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.Deserializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The prompts of a range, each once, and what was generated for them.
 *
 * <p>All of it is held in memory; a sample, or a smaller range, bounds it.
 */
final class RecordedGenerations {
  private static final Logger LOG = LoggerFactory.getLogger(RecordedGenerations.class);

  private final int sample;
  private final SortedMap<UUID, Generation> generations = new TreeMap<>();
  private final Map<String, Generation> byName = new HashMap<>();
  private int undecodable;

  private RecordedGenerations(final int sample) {
    this.sample = sample;
  }

  /** A prompt and its recordings. */
  static final class Generation {
    private final String id;
    private final String place;
    private final PromptRequest request;
    private final List<Recording> recordings = new ArrayList<>();
    private boolean contested;

    private Generation(final String id, final String place, final PromptRequest request) {
      this.id = id;
      this.place = place;
      this.request = request;
    }

    String id() {
      return id;
    }

    /** The request under the id that it had, and without the deadline, which is over. */
    private PromptRequest content() {
      return PromptRequest.newBuilder(request).setId(id).setDeadlineMs(null).build();
    }

    /** The request to replay: what was ended from outside need not go on beyond that. */
    PromptRequest shadow() {
      final OptionalInt length = recording().map(Recording::cutAt).orElseGet(OptionalInt::empty);
      // With a truncated prompt, how much is kept of it may depend on the limit.
      return length.isEmpty() || request.getTruncatePromptTokens().isPresent()
          ? content()
          : PromptRequest.newBuilder(content()).setMaxTokens(length.getAsInt() + 1).build();
    }

    /** Whether it cannot be told which of the recordings is this prompt's. */
    boolean isAmbiguous() {
      return contested && recordings.size() > 1;
    }

    /** The last one: a request that was put back from the dead letters has failed before. */
    Optional<Recording> recording() {
      return recordings.isEmpty() ? Optional.empty() : Optional.of(recordings.getLast());
    }

    private void add(final TokenRecord record) {
      if (recordings.isEmpty() || recordings.getLast().hasEnded()) {
        recordings.add(new Recording());
      }
      recordings.getLast().add(record);
    }
  }

  static RecordedGenerations read(
      final SarathiConfig config, final Place from, final Place to, final int sample) {
    final RecordedGenerations recorded = new RecordedGenerations(sample);
    final Map<String, Object> client = config.clients();
    try (Deserializer<PromptRequest> deserializer =
        SarathiSerdes.promptRequest(client).deserializer()) {
      Topic.read(
          client,
          config.getString(SarathiConfig.PROMPTS_TOPIC_CONFIG),
          from,
          to,
          record -> recorded.addPrompt(record, deserializer));
    }
    for (final Generation generation : recorded.generations.values()) {
      recorded.byName.put(generation.id, generation);
    }
    for (final Generation generation : recorded.generations.values()) {
      // An id that was itself refused was answered in the name of the record.
      recorded.byName.putIfAbsent(generation.place, generation);
    }
    recorded.readResults(config, client);
    return recorded;
  }

  private void addPrompt(
      final ConsumerRecord<byte[], byte[]> record, final Deserializer<PromptRequest> deserializer) {
    if (record.value() == null) {
      return;
    }
    final PromptRequest request;
    try {
      request = deserializer.deserialize(record.topic(), record.headers(), record.value());
    } catch (final RuntimeException e) {
      LOG.debug(
          "{}-{} offset {} is no prompt", record.topic(), record.partition(), record.offset(), e);
      undecodable++;
      return;
    }
    final String id =
        PromptRequests.idOf(
            request, record.key(), record.topic(), record.partition(), record.offset());
    // In the order of hashes: the same sample of the same prompts each time.
    final UUID rank = UUID.nameUUIDFromBytes(id.getBytes(StandardCharsets.UTF_8));
    final Generation known = generations.get(rank);
    if (known != null) {
      known.contested |= !new Generation(id, "", request).content().equals(known.content());
    } else if (generations.size() < sample || rank.compareTo(generations.lastKey()) < 0) {
      generations.put(
          rank,
          new Generation(
              id,
              "%s-%d-%d".formatted(record.topic(), record.partition(), record.offset()),
              request));
      if (generations.size() > sample) {
        generations.pollLastEntry();
      }
    }
  }

  private void readResults(final SarathiConfig config, final Map<String, Object> client) {
    final String tokens = config.getString(SarathiConfig.TOKENS_TOPIC_CONFIG);
    final Place first = new Place.Earliest();
    final Place last = new Place.Latest();
    if (!tokens.isEmpty()) {
      try (Deserializer<TokenRecord> deserializer =
          SarathiSerdes.tokenRecord(client).deserializer()) {
        Topic.read(
            client,
            tokens,
            first,
            last,
            record ->
                named(record)
                    .ifPresent(
                        generation ->
                            generation.add(deserializer.deserialize(tokens, record.value()))));
      }
    } else {
      final String completions = config.getString(SarathiConfig.COMPLETIONS_TOPIC_CONFIG);
      try (Deserializer<Completion> deserializer =
          SarathiSerdes.completion(client).deserializer()) {
        Topic.read(
            client,
            completions,
            first,
            last,
            record ->
                named(record)
                    .ifPresent(
                        generation ->
                            generation.recordings.add(
                                Recording.of(
                                    deserializer.deserialize(completions, record.value())))));
      }
    }
  }

  private Optional<Generation> named(final ConsumerRecord<byte[], byte[]> record) {
    return record.key() == null || record.value() == null
        ? Optional.empty()
        : Optional.ofNullable(byName.get(new String(record.key(), StandardCharsets.UTF_8)));
  }

  Collection<Generation> generations() {
    return generations.values();
  }

  int undecodable() {
    return undecodable;
  }
}
