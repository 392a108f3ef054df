package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.streams.broker.DevelopmentBroker;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AclBinding;

/**
 * A broker that lets nobody do anything without a right: a listener with TLS and SASL for the
 * application, and one on loopback, whose users may do all, for the test itself.
 */
final class SecureBroker implements AutoCloseable {
  static final String USER = "app";
  static final String PASSWORD = "scram-hunter2";

  private final DevelopmentBroker broker;
  private final String address;
  private final Certificates certificates;

  private SecureBroker(
      final DevelopmentBroker broker, final String address, final Certificates certificates) {
    this.broker = broker;
    this.address = address;
    this.certificates = certificates;
  }

  /**
   * Starts one with the user {@value #USER}.
   *
   * @param more of the broker's settings
   */
  static SecureBroker start(
      final Path directory, final Certificates certificates, final Map<String, String> more)
      throws Exception {
    final String own = "localhost:" + freePort();
    final String secure = "localhost:" + freePort();
    final String controller = "localhost:" + freePort();
    final String listeners = "PLAINTEXT://" + own + ",SECURE://" + secure;
    final Map<String, String> settings = new TreeMap<>();
    settings.put("listeners", listeners + ",CONTROLLER://" + controller);
    settings.put("advertised.listeners", listeners);
    settings.put("controller.quorum.voters", "1@" + controller);
    settings.put(
        "listener.security.protocol.map",
        "PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,CONTROLLER:PLAINTEXT");
    settings.put("sasl.enabled.mechanisms", "SCRAM-SHA-512");
    settings.put(
        "listener.name.secure.scram-sha-512.sasl.jaas.config",
        "org.apache.kafka.common.security.scram.ScramLoginModule required;");
    settings.put("listener.name.secure.ssl.keystore.type", "PKCS12");
    settings.put("listener.name.secure.ssl.keystore.location", certificates.keys().toString());
    settings.put("listener.name.secure.ssl.keystore.password", Certificates.PASSWORD);
    settings.put("listener.name.secure.ssl.key.password", Certificates.PASSWORD);
    settings.put(
        "authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer");
    settings.put("allow.everyone.if.no.acl.found", "false");
    settings.put("super.users", "User:ANONYMOUS");
    settings.putAll(more);
    final SecureBroker broker =
        new SecureBroker(
            DevelopmentBroker.start(
                new DevelopmentBroker.Options(
                    directory, Integer.parseInt(own.split(":")[1]), 512, settings)),
            secure,
            certificates);
    broker.add(USER);
    return broker;
  }

  /** A user more, whose password is {@value #PASSWORD}, too. */
  void add(final String user) throws Exception {
    try (Admin admin = admin()) {
      admin
          .alterUserScramCredentials(
              List.of(
                  new UserScramCredentialUpsertion(
                      user, new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), PASSWORD)))
          .all()
          .get();
    }
  }

  /** Where all is allowed to whoever comes. */
  String ownAddress() {
    return broker.bootstrapServers();
  }

  Admin admin() {
    return Admin.create(Map.of("bootstrap.servers", ownAddress()));
  }

  /** How the application comes in, as the user of this name and password. */
  Map<String, String> scram(final String user, final String password) {
    final Map<String, String> settings = tls();
    settings.put("sasl.mechanism", "SCRAM-SHA-512");
    settings.put(
        "sasl.jaas.config",
        ("org.apache.kafka.common.security.scram.ScramLoginModule required "
                + "username=\"%s\" password=\"%s\";")
            .formatted(user, password));
    return settings;
  }

  /** The address, and whom to trust there; a mechanism must be added. */
  Map<String, String> tls() {
    final Map<String, String> settings = new TreeMap<>();
    settings.put("bootstrap.servers", address);
    settings.put("security.protocol", "SASL_SSL");
    settings.put("ssl.truststore.type", "PKCS12");
    settings.put("ssl.truststore.location", certificates.trust().toString());
    settings.put("ssl.truststore.password", Certificates.PASSWORD);
    return settings;
  }

  void grant(final AclBinding right) throws Exception {
    try (Admin admin = admin()) {
      admin.createAcls(List.of(right)).all().get();
    }
    settle();
  }

  /** Takes away a right that was granted. */
  void revoke(final AclBinding right) throws Exception {
    try (Admin admin = admin()) {
      assertThat(admin.deleteAcls(List.of(right.toFilter())).all().get()).hasSize(1);
    }
    settle();
  }

  /** The broker applies what the controller has written, a moment later. */
  static void settle() throws InterruptedException {
    Thread.sleep(500);
  }

  /** How many offsets a topic of two partitions has taken. */
  long size(final String topic) throws Exception {
    try (Admin admin = admin()) {
      long size = 0;
      for (int partition = 0; partition < 2; partition++) {
        final TopicPartition of = new TopicPartition(topic, partition);
        size +=
            admin.listOffsets(Map.of(of, OffsetSpec.latest())).partitionResult(of).get().offset();
      }
      return size;
    }
  }

  @Override
  public void close() {
    broker.close();
  }

  // Below the ports that systems give to outgoing connections.
  private static int freePort() {
    while (true) {
      final int port = ThreadLocalRandom.current().nextInt(15_000, 32_000);
      try (ServerSocket free = new ServerSocket(port, 1, InetAddress.getByName("localhost"))) {
        return free.getLocalPort();
      } catch (final IOException e) {
        // Taken; the next one may not be.
      }
    }
  }
}
