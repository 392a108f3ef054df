package dev.sarathi.streams.internal;

import dev.sarathi.streams.GenerationSettings;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** The names of the stores of one generation node, all persistent and changelogged. */
public record StoreNames(String node) {
  /** What a record adds to the value in it: key, headers, batch overhead. */
  private static final int RECORD_OVERHEAD = 64 << 10;

  /** Requests not finished, by position. */
  String requests() {
    return node + "-requests";
  }

  /** Attempts and emitted tokens of the requests that were begun. */
  String progress() {
    return node + "-progress";
  }

  /** Positions of the unfinished requests, by id. */
  String identities() {
    return node + "-identities";
  }

  /** Digests of the finished requests, by id and time. */
  String finished() {
    return node + "-finished";
  }

  /** Counts of the jobs' requests, by job. */
  String jobs() {
    return node + "-jobs";
  }

  /**
   * The store of a node that counts by job. Cached: between two commits the counts of a job change
   * often, and its changelog need not know.
   */
  public StoreBuilder<?> jobsBuilder() {
    return Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore(jobs()), Serdes.String(), Serdes.ByteArray())
        .withCachingEnabled();
  }

  public Set<StoreBuilder<?>> builders(final GenerationSettings settings) {
    // A request that fits the store must fit its changelog.
    final Map<String, String> changelog =
        Map.of(
            TopicConfig.MAX_MESSAGE_BYTES_CONFIG,
            Integer.toString(settings.maxRequestBytes() + RECORD_OVERHEAD));
    return Set.of(
        Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore(requests()), Serdes.Bytes(), Serdes.ByteArray())
            .withLoggingEnabled(changelog),
        Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore(progress()), Serdes.Bytes(), Serdes.ByteArray()),
        Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore(identities()), Serdes.String(), Serdes.ByteArray()),
        Stores.windowStoreBuilder(
            new SegmentedFromTheStart(
                Stores.persistentWindowStore(
                    finished(), settings.dedupRetention(), Duration.ofMillis(1), false)),
            Serdes.String(),
            Serdes.ByteArray()));
  }
}
