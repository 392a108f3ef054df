package dev.sarathi.tests.chaos;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.utils.Utils;

/**
 * Brokers on the loopback interface, each a controller too, with the proxies before them.
 *
 * <p>Threading: the admin client is shared; {@link #bringDown} is for one thread at a time.
 */
final class Cluster implements AutoCloseable {
  private static final int INTERNAL_PARTITIONS = 6;

  private final String id = Uuid.randomUuid().toString();
  private final List<BrokerNode> nodes;
  private final List<WireProxy> proxies;
  private final short replication;
  private final Admin admin;

  private Cluster(final List<BrokerNode> nodes, final List<NetworkRule> rules) {
    this.nodes = nodes;
    this.replication = (short) Math.min(3, nodes.size());
    nodes.forEach(node -> node.configure(nodes, settings(replication)));
    nodes.forEach(node -> node.start(id));
    this.proxies =
        nodes.stream()
            .map(node -> new WireProxy(node.id, node.proxyPort, node.applicationPort, rules))
            .toList();
    this.admin =
        Admin.create(
            Map.of(
                "bootstrap.servers",
                bootstrapServers(),
                "request.timeout.ms",
                5_000,
                "default.api.timeout.ms",
                20_000));
  }

  /**
   * @param rules what the proxies do to the traffic that passes; may change at any time
   */
  static Cluster start(final int brokers, final Path directory, final List<NetworkRule> rules) {
    final Cluster cluster =
        new Cluster(
            IntStream.rangeClosed(1, brokers)
                .mapToObj(id -> new BrokerNode(id, directory.resolve("broker-" + id)))
                .toList(),
            rules);
    if (!cluster.await(() -> cluster.brokers() == brokers, Duration.ofSeconds(120))) {
      cluster.close();
      throw new IllegalStateException(
          "the cluster of %d brokers was not there within 120 s; its logs are in %s"
              .formatted(brokers, directory));
    }
    return cluster;
  }

  private static Map<String, String> settings(final short replication) {
    final String replicas = Short.toString(replication);
    final String minimum = Integer.toString(Math.max(1, replication - 1));
    return Map.ofEntries(
        Map.entry("default.replication.factor", replicas),
        Map.entry("min.insync.replicas", minimum),
        Map.entry("offsets.topic.replication.factor", replicas),
        Map.entry("offsets.topic.num.partitions", Integer.toString(INTERNAL_PARTITIONS)),
        Map.entry("transaction.state.log.replication.factor", replicas),
        Map.entry("transaction.state.log.min.isr", minimum),
        Map.entry("transaction.state.log.num.partitions", Integer.toString(INTERNAL_PARTITIONS)),
        Map.entry("share.coordinator.state.topic.num.partitions", "1"),
        Map.entry("broker.session.timeout.ms", "4000"),
        Map.entry("broker.heartbeat.interval.ms", "500"),
        Map.entry("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000"),
        Map.entry("auto.create.topics.enable", "false"),
        Map.entry("group.initial.rebalance.delay.ms", "0"),
        Map.entry("group.streams.initial.rebalance.delay.ms", "0"),
        Map.entry("group.streams.min.heartbeat.interval.ms", "500"),
        Map.entry("group.streams.heartbeat.interval.ms", "1000"),
        Map.entry("group.streams.min.session.timeout.ms", "3000"),
        Map.entry("group.streams.session.timeout.ms", "6000"),
        Map.entry("num.network.threads", "2"),
        Map.entry("num.io.threads", "4"),
        Map.entry("background.threads", "2"),
        Map.entry("num.replica.fetchers", "1"),
        Map.entry("log.cleaner.dedupe.buffer.size", "16777216"));
  }

  /** For the campaign's own clients: no proxy in between. */
  String bootstrapServers() {
    return nodes.stream()
        .map(node -> "localhost:" + node.clusterPort)
        .collect(Collectors.joining(","));
  }

  /** For the applications. */
  String proxiedServers() {
    return nodes.stream()
        .map(node -> "localhost:" + node.proxyPort)
        .collect(Collectors.joining(","));
  }

  List<BrokerNode> nodes() {
    return nodes;
  }

  Admin admin() {
    return admin;
  }

  void createTopics(final List<String> names, final int partitions) {
    ask(
        admin
            .createTopics(
                names.stream().map(name -> new NewTopic(name, partitions, replication)).toList())
            .all());
  }

  /** Cuts the connections of a client, or of all. */
  void cut(final NetworkRule rule) {
    proxies.forEach(proxy -> proxy.cut(rule));
  }

  private int brokers() throws Exception {
    return admin.describeCluster().nodes().get(5, TimeUnit.SECONDS).size();
  }

  /** Whether every broker is up and every replica in sync. */
  boolean isWhole() {
    try {
      if (brokers() < nodes.size()) {
        return false;
      }
      final List<String> topics =
          List.copyOf(ask(admin.listTopics(new ListTopicsOptions().listInternal(true)).names()));
      return ask(admin.describeTopics(topics).allTopicNames()).values().stream()
          .map(TopicDescription::partitions)
          .flatMap(List::stream)
          .allMatch(partition -> partition.isr().size() == partition.replicas().size());
    } catch (final Exception e) {
      return false;
    }
  }

  boolean awaitWhole(final Duration limit) {
    return await(this::isWhole, limit);
  }

  /** Whose partition of an internal topic an id is in: its coordinator. */
  Optional<BrokerNode> coordinator(final String internalTopic, final String id) {
    return leader(internalTopic, Utils.abs(id.hashCode()) % INTERNAL_PARTITIONS);
  }

  Optional<BrokerNode> leader(final String topic, final int partition) {
    final TopicPartitionInfo info =
        ask(admin.describeTopics(List.of(topic)).allTopicNames())
            .get(topic)
            .partitions()
            .get(partition);
    return Optional.ofNullable(info.leader())
        .flatMap(leader -> nodes.stream().filter(node -> node.id == leader.id()).findFirst());
  }

  /** The transactional ids of an application, those with a transaction under way first. */
  List<String> transactionalIds(final String applicationId) {
    final List<TransactionListing> found =
        new ArrayList<>(
            listTransactions().stream()
                .filter(listing -> listing.transactionalId().startsWith(applicationId + "-"))
                .toList());
    found.sort(
        (a, b) ->
            Boolean.compare(
                b.state() == TransactionState.ONGOING, a.state() == TransactionState.ONGOING));
    return found.stream().map(TransactionListing::transactionalId).toList();
  }

  /** Asks again where a broker comes or goes in the middle: the admin client then loses count. */
  private Collection<TransactionListing> listTransactions() {
    for (int attempt = 1; ; attempt++) {
      try {
        return ask(admin.listTransactions().all());
      } catch (final IllegalStateException e) {
        if (attempt == 5) {
          throw e;
        }
      }
    }
  }

  /** Kills a broker and has it back after a pause, with all its replicas in sync. */
  void bringDown(final BrokerNode node, final Duration pause) throws InterruptedException {
    node.kill();
    Thread.sleep(pause);
    node.start(id);
    awaitWhole(Duration.ofSeconds(60));
  }

  /** Starts the brokers that have ended, and tells which. */
  List<BrokerNode> revive() {
    final List<BrokerNode> ended = nodes.stream().filter(node -> !node.isAlive()).toList();
    ended.forEach(node -> node.start(id));
    return ended;
  }

  static <T> T ask(final org.apache.kafka.common.KafkaFuture<T> answer) {
    try {
      return answer.get(20, TimeUnit.SECONDS);
    } catch (final ExecutionException | TimeoutException e) {
      throw new IllegalStateException("the cluster does not answer: " + e, e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    }
  }

  /** A condition that may fail as long as the cluster is not ready. */
  interface Condition {
    boolean holds() throws Exception;
  }

  private boolean await(final Condition condition, final Duration limit) {
    final long deadline = System.nanoTime() + limit.toNanos();
    while (System.nanoTime() < deadline) {
      try {
        if (condition.holds()) {
          return true;
        }
        Thread.sleep(500);
      } catch (final InterruptedException e) {
        Thread.currentThread().interrupt();
        return false;
      } catch (final Exception e) {
        // Not yet.
      }
    }
    return false;
  }

  @Override
  public void close() {
    admin.close(Duration.ofSeconds(1));
    proxies.forEach(WireProxy::close);
    for (final BrokerNode node : nodes) {
      try {
        node.kill();
      } catch (final InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
