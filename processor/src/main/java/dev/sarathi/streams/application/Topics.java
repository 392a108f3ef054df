package dev.sarathi.streams.application;

import dev.sarathi.streams.SarathiConfig;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The topics of the application: those that are missing are created. */
final class Topics {
  private static final Logger LOG = LoggerFactory.getLogger(Topics.class);

  private static final long RETRY_PAUSE_MILLIS = 100;

  private Topics() {}

  /**
   * @throws IllegalStateException if the brokers do not answer or refuse; says which and why
   */
  static void makeReady(
      final SarathiConfig config, final Map<String, Object> client, final Access access) {
    final long timeout = config.getLong(SarathiConfig.STARTUP_TIMEOUT_CONFIG);
    try (Admin admin = Admin.create(client)) {
      final Set<String> present = admin.listTopics().names().get(timeout, TimeUnit.MILLISECONDS);
      final List<NewTopic> missing = new ArrayList<>();
      for (final String topic : access.topics()) {
        if (!present.contains(topic)) {
          missing.add(newTopic(topic, config));
        }
      }
      create(admin, missing, access, timeout);
      awaitLeaders(admin, access.topics(), timeout);
      requireAccess(admin, access, timeout);
    } catch (final ExecutionException e) {
      if (e.getCause() instanceof org.apache.kafka.common.errors.TimeoutException) {
        throw unanswered(client, timeout, e.getCause());
      }
      throw new IllegalStateException(
          access
              .refusal(e)
              .orElseGet(
                  () ->
                      "topics %s cannot be made ready: %s"
                          .formatted(access.topics(), e.getCause())),
          e.getCause());
    } catch (final ConfigException e) {
      throw e;
    } catch (final KafkaException e) {
      // A client that cannot be made: its keys cannot be read, or it cannot log in.
      throw new IllegalStateException(access.refusal(e).orElse(e.getMessage()), e);
    } catch (final TimeoutException e) {
      throw unanswered(client, timeout, e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while making the topics ready", e);
    }
  }

  private static IllegalStateException unanswered(
      final Map<String, Object> client, final long timeout, final Throwable cause) {
    return new IllegalStateException(
        "the brokers at %s did not answer within %s=%d ms; security.protocol is %s"
            .formatted(
                client.get("bootstrap.servers"),
                SarathiConfig.STARTUP_TIMEOUT_CONFIG,
                timeout,
                client.getOrDefault("security.protocol", "PLAINTEXT")),
        cause);
  }

  private static void create(
      final Admin admin, final List<NewTopic> missing, final Access access, final long timeout)
      throws ExecutionException, InterruptedException, TimeoutException {
    try {
      admin.createTopics(missing).all().get(timeout, TimeUnit.MILLISECONDS);
      missing.forEach(
          topic ->
              LOG.info("topic {} created, {} partitions", topic.name(), topic.numPartitions()));
    } catch (final ExecutionException e) {
      if (e.getCause() instanceof TopicAuthorizationException) {
        throw new IllegalStateException(
            access.unseen(missing.stream().map(NewTopic::name).toList()), e.getCause());
      }
      // Another instance that starts at the same time may have been faster.
      if (!(e.getCause() instanceof TopicExistsException)) {
        throw e;
      }
    }
  }

  /** A right that is missing is then known at start, not at the first result. */
  private static void requireAccess(final Admin admin, final Access access, final long timeout)
      throws ExecutionException, InterruptedException, TimeoutException {
    final Optional<String> missing =
        access.missing(
            described(
                    admin,
                    access.topics(),
                    timeout,
                    new DescribeTopicsOptions().includeAuthorizedOperations(true))
                .values());
    if (missing.isPresent()) {
      throw new IllegalStateException(missing.get());
    }
  }

  /**
   * Waits until every partition has a leader that serves. Before that, an idempotent producer's
   * first batch may be refused and its second taken, as by a leader that knows nothing of it; the
   * first is then out of sequence until it expires, two minutes later (seen with Kafka 4.3.1).
   */
  private static void awaitLeaders(final Admin admin, final List<String> topics, final long timeout)
      throws ExecutionException, InterruptedException, TimeoutException {
    final long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(timeout);
    while (true) {
      try {
        askLeaders(admin, topics, timeout);
        return;
      } catch (final ExecutionException e) {
        // A broker that has not heard of a new topic yet says that there is none.
        if (!(e.getCause() instanceof RetriableException) || System.nanoTime() > deadline) {
          throw e;
        }
      }
      Thread.sleep(RETRY_PAUSE_MILLIS);
    }
  }

  private static void askLeaders(final Admin admin, final List<String> topics, final long timeout)
      throws ExecutionException, InterruptedException, TimeoutException {
    final Map<TopicPartition, OffsetSpec> partitions = new HashMap<>();
    for (final TopicDescription topic :
        described(admin, topics, timeout, new DescribeTopicsOptions()).values()) {
      for (final TopicPartitionInfo partition : topic.partitions()) {
        partitions.put(
            new TopicPartition(topic.name(), partition.partition()), OffsetSpec.latest());
      }
    }
    admin.listOffsets(partitions).all().get(timeout, TimeUnit.MILLISECONDS);
  }

  private static Map<String, TopicDescription> described(
      final Admin admin,
      final List<String> topics,
      final long timeout,
      final DescribeTopicsOptions options)
      throws ExecutionException, InterruptedException, TimeoutException {
    return admin
        .describeTopics(topics, options)
        .allTopicNames()
        .get(timeout, TimeUnit.MILLISECONDS);
  }

  private static NewTopic newTopic(final String topic, final SarathiConfig config) {
    final short replication = config.getShort(SarathiConfig.TOPICS_REPLICATION_FACTOR_CONFIG);
    return new NewTopic(
            topic,
            Optional.of(config.getInt(SarathiConfig.TOPICS_PARTITIONS_CONFIG)),
            replication < 0 ? Optional.empty() : Optional.of(replication))
        .configs(
            topic.equals(config.getString(SarathiConfig.JOBS_TOPIC_CONFIG))
                ? Map.of(TopicConfig.CLEANUP_POLICY_CONFIG, TopicConfig.CLEANUP_POLICY_COMPACT)
                : Map.of(
                    TopicConfig.MAX_MESSAGE_BYTES_CONFIG,
                    Integer.toString(config.largestRecordBytes())));
  }
}
