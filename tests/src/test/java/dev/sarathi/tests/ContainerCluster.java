package dev.sarathi.tests;

import com.github.dockerjava.api.model.Capability;
import com.github.dockerjava.api.model.HostConfig;
import com.github.dockerjava.api.model.PortBinding;
import java.io.IOException;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.Network;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.utility.DockerImageName;

/** A broker and a schema registry in containers, which are reached from here and from others. */
final class ContainerCluster implements AutoCloseable {
  private static final Duration LIMIT = Duration.ofMinutes(3);
  private static final int KAFKA_PORT = 29092;
  private static final int REGISTRY_PORT = 8080;

  private final Network network = Network.newNetwork();
  private final int port;
  private final GenericContainer<?> kafka;
  private final GenericContainer<?> registry;

  private ContainerCluster() throws IOException {
    // A broker tells its clients where it is, so that must be known before it starts.
    try (ServerSocket free = new ServerSocket(0)) {
      port = free.getLocalPort();
    }
    kafka =
        container(Images.KAFKA)
            .withNetworkAliases("kafka")
            .withCreateContainerCmdModifier(
                command ->
                    hostConfig(command.getHostConfig())
                        .withPortBindings(
                            PortBinding.parse("127.0.0.1:" + port + ":" + KAFKA_PORT)))
            .withExposedPorts(KAFKA_PORT)
            .withEnv(
                Map.ofEntries(
                    Map.entry("KAFKA_NODE_ID", "1"),
                    Map.entry("KAFKA_PROCESS_ROLES", "broker,controller"),
                    Map.entry("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093"),
                    Map.entry("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
                    Map.entry("KAFKA_INTER_BROKER_LISTENER_NAME", "INSIDE"),
                    Map.entry(
                        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
                        "CONTROLLER:PLAINTEXT,INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT"),
                    Map.entry(
                        "KAFKA_LISTENERS",
                        "CONTROLLER://:9093,INSIDE://:9092,OUTSIDE://:" + KAFKA_PORT),
                    Map.entry(
                        "KAFKA_ADVERTISED_LISTENERS",
                        "INSIDE://kafka:9092,OUTSIDE://localhost:" + port),
                    Map.entry("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
                    Map.entry("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1"),
                    Map.entry("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1"),
                    Map.entry("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
                    Map.entry("KAFKA_HEAP_OPTS", "-Xmx384m")))
            .waitingFor(Wait.forListeningPort().withStartupTimeout(LIMIT));
    registry =
        container(Images.REGISTRY)
            .withNetworkAliases("registry")
            .withExposedPorts(REGISTRY_PORT)
            .waitingFor(
                Wait.forHttp("/apis/ccompat/v7/subjects")
                    .forPort(REGISTRY_PORT)
                    .withStartupTimeout(LIMIT));
  }

  static ContainerCluster start() throws IOException {
    final ContainerCluster cluster = new ContainerCluster();
    try {
      cluster.kafka.start();
      cluster.registry.start();
      return cluster;
    } catch (final RuntimeException e) {
      cluster.close();
      throw e;
    }
  }

  /** One that has not started, in the cluster's network, of an image that is at hand. */
  private GenericContainer<?> container(final String image) {
    return new GenericContainer<>(DockerImageName.parse(image))
        .withImagePullPolicy(name -> false)
        .withNetwork(network);
  }

  private static HostConfig hostConfig(final HostConfig given) {
    return given == null ? HostConfig.newHostConfig() : given;
  }

  /**
   * An application that has not started, as it should be deployed: not root, a root file system
   * that cannot be written to, no capabilities.
   *
   * @param name its application id, and what its topics' names begin with
   */
  GenericContainer<?> application(final String name, final Map<String, String> settings) {
    return container(Images.APPLICATION)
        .withEnv(
            Map.of(
                "KAFKA_BOOTSTRAP_SERVERS", "kafka:9092",
                "KAFKA_SCHEMA_REGISTRY_URL", "http://registry:8080/apis/ccompat/v7",
                "KAFKA_APPLICATION_ID", name,
                "SARATHI_PROMPTS_TOPIC", name + "-prompts",
                "SARATHI_TOKENS_TOPIC", name + "-tokens",
                "SARATHI_CPU_THREADS", "1",
                "SARATHI_TOPICS_PARTITIONS", "3",
                "SARATHI_JAVA_OPTS", "-Xmx256m -XX:+UseSerialGC"))
        .withEnv(settings)
        .withCreateContainerCmdModifier(
            command ->
                hostConfig(command.getHostConfig())
                    .withReadonlyRootfs(true)
                    .withTmpFs(Map.of("/tmp", "exec,mode=1777,size=256m"))
                    .withCapDrop(Capability.ALL)
                    .withSecurityOpts(List.of("no-new-privileges:true")))
        .waitingFor(
            Wait.forSuccessfulCommand("/opt/sarathi/bin/healthcheck /ready")
                .withStartupTimeout(LIMIT));
  }

  /** For clients on this side. */
  String bootstrapServers() {
    return "localhost:" + port;
  }

  /** For clients on this side. */
  String registryUrl() {
    return "http://localhost:%d/apis/ccompat/v7".formatted(registry.getMappedPort(REGISTRY_PORT));
  }

  @Override
  public void close() {
    registry.stop();
    kafka.stop();
    network.close();
  }
}
