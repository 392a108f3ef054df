package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.schemas.PromptRequest;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.io.TempDir;

/** The application on brokers that let nobody in who does not belong. */
@Tag("long")
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class SecurityTest {
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final Path GUIDE = Path.of("../docs/secure.md");
  private static final AclBinding CREATE =
      new AclBinding(
          new ResourcePattern(ResourceType.TOPIC, "stories-", PatternType.PREFIXED),
          new AccessControlEntry("User:app", "*", AclOperation.CREATE, AclPermissionType.ALLOW));

  @TempDir private static Path directory;
  private static Certificates certificates;
  private static SecureBroker broker;
  private static Admin admin;
  private static int prompts;

  @BeforeAll
  static void start() throws Exception {
    certificates = Certificates.make(directory.resolve("keys"));
    broker = SecureBroker.start(directory.resolve("broker"), certificates, Map.of());
    admin = broker.admin();
  }

  @AfterAll
  static void stop() {
    admin.close();
    broker.close();
  }

  @Test
  @Order(1)
  void shouldNameTheLoginWhenThePasswordIsWrong() throws Exception {
    assertThat(shown(broker.scram("app", "wrong-hunter2")))
        .contains(
            "did not let User:app log in",
            "sasl.mechanism=SCRAM-SHA-512",
            "password in sasl.jaas.config");
  }

  @Test
  @Order(1)
  void shouldNameTheTrustStoreWhenTheBrokersAreStrangers() throws Exception {
    final Map<String, String> settings = scram();
    settings.put("ssl.truststore.location", certificates.strangersTrust().toString());
    assertThat(refusal(settings))
        .contains(
            "TLS with the brokers",
            "unable to find valid certification path",
            "ssl.truststore.location=" + certificates.strangersTrust());
  }

  @Test
  @Order(1)
  void shouldNameTheProtocolWhenItIsNotTheBrokers() throws Exception {
    final Map<String, String> settings = scram();
    settings.put("security.protocol", "PLAINTEXT");
    settings.put("sarathi.startup.timeout.ms", "3000");
    assertThat(shown(settings)).contains("did not answer within", "security.protocol is PLAINTEXT");
  }

  @Test
  @Order(1)
  void shouldNameAllTopicsWhenNothingIsGranted() throws Exception {
    assertThat(refusal(scram()))
        .contains(
            "not authorized as User:app to see or create topic",
            "READ, WRITE on topic prompts",
            "WRITE on topic tokens",
            "WRITE on topic completions",
            "WRITE on topic dead-letters",
            "WRITE on topic jobs");
  }

  @Test
  @Order(2)
  void shouldServeWithTheRightsOfTheGuide() throws Exception {
    // given: topics, and the rights, but not to create changelogs
    admin
        .createTopics(
            List.of("prompts", "tokens", "completions", "jobs", "dead-letters").stream()
                .map(name -> new NewTopic(name, 2, (short) 1))
                .toList())
        .all()
        .get();
    for (final String command : KafkaTool.commandsOf(GUIDE, "kafka-acls")) {
      if (command.contains("User:app ")) {
        KafkaTool.run(command, Map.of("localhost:9092", broker.ownAddress()));
      }
    }
    broker.revoke(CREATE);
    assertThat(refusal(scram())).contains("READ, WRITE, CREATE on topics prefixed stories-");
    broker.grant(CREATE);

    // when: it is killed in the middle
    final List<PromptRequest> requests =
        List.of(
            PromptRequest.newBuilder(Stories.sampled("one", 40, 3_000)).setJobId("nightly").build(),
            Stories.ofLength("two", 300, 3_000));
    try (TokenLog log = new TokenLog(broker.ownAddress(), "tokens");
        Oracle oracle = new Oracle()) {
      try (ShippedApplication application = ShippedApplication.start(directory, scram())) {
        Prompts.send(broker.ownAddress(), "prompts", requests);
        final long deadline = System.nanoTime() + LIMIT.toNanos();
        while (log.tokens() < 200) {
          assertThat(System.nanoTime()).as(application::logged).isLessThan(deadline);
          log.poll();
        }
        application.kill();
      }
      assertThat(log.terminals()).isLessThan(2);
      try (ShippedApplication application = ShippedApplication.start(directory, scram())) {
        log.awaitTerminals(2, LIMIT);

        // then
        for (final PromptRequest request : requests) {
          log.assertExactlyOnce(request.getId().orElseThrow(), oracle.answers(request));
        }
        assertThat(broker.size("completions")).isPositive();
        assertThat(broker.size("jobs")).isPositive();
        application.stop();
        assertThat(application.errors()).isEmpty();
      }
    }
  }

  @Test
  @Order(3)
  void shouldNameTheRightThatIsMissing() throws Exception {
    final Collection<AclBinding> granted = admin.describeAcls(AclBindingFilter.ANY).values().get();
    assertThat(granted).hasSize(11);
    final SoftAssertions softly = new SoftAssertions();
    for (final AclBinding right : granted) {
      if (right.equals(CREATE)) {
        continue; // All is created by now.
      }
      // Something to do, so that every right is used; and a state of its own, so that it restores.
      Prompts.send(
          broker.ownAddress(), "prompts", List.of(Stories.ofLength("more-" + ++prompts, 20, 20)));
      final Map<String, String> settings = scram();
      settings.put("state.dir", directory.resolve("state-" + prompts).toString());
      broker.revoke(right);
      try {
        final String error = refusal(settings);
        softly.assertThat(error).as("without %s", right).startsWith("not authorized");
        softly
            .assertThat(error)
            .as("without %s", right)
            .contains(right.entry().operation().name(), right.pattern().name(), "as User:app");
      } catch (final AssertionError e) {
        softly.fail("without " + right, e);
      } finally {
        broker.grant(right);
      }
    }
    softly.assertAll();
  }

  @Test
  @Order(4)
  void shouldEndWhenARightIsTakenAwayInTheMiddle() throws Exception {
    final AclBinding right =
        new AclBinding(
            new ResourcePattern(ResourceType.TOPIC, "tokens", PatternType.LITERAL),
            new AccessControlEntry("User:app", "*", AclOperation.WRITE, AclPermissionType.ALLOW));
    try (ShippedApplication application = ShippedApplication.start(directory, scram());
        TokenLog log = new TokenLog(broker.ownAddress(), "tokens")) {
      Prompts.send(broker.ownAddress(), "prompts", List.of(Stories.endless("long")));
      final long deadline = System.nanoTime() + LIMIT.toNanos();
      while (log.of("long").isEmpty()) {
        assertThat(System.nanoTime()).as(application::logged).isLessThan(deadline);
        log.poll();
      }
      broker.revoke(right);
      assertThat(application.awaitEnd(LIMIT)).as(application::logged).isEqualTo(1);
      assertThat(application.logged())
          .contains("not authorized for topic tokens as User:app: grant WRITE on topic tokens");
    } finally {
      broker.grant(right);
    }
  }

  private static Map<String, String> scram() {
    final Map<String, String> settings =
        new HashMap<>(broker.scram(SecureBroker.USER, SecureBroker.PASSWORD));
    // A member that comes back takes the place of its former self at once.
    settings.put("group.instance.id", "one");
    return settings;
  }

  /** The one line of error that an operator sees of an application that does not start. */
  private static String shown(final Map<String, String> settings) throws Exception {
    try (ShippedApplication application = ShippedApplication.start(directory, settings)) {
      assertThat(application.awaitEnd(LIMIT)).as(application::logged).isEqualTo(1);
      assertThat(application.errors()).as(application::logged).hasSize(1);
      assertThat(application.logged()).doesNotContain("hunter2");
      return application.errors().getFirst();
    }
  }

  private static String refusal(final Map<String, String> settings) throws Exception {
    return Refusal.of(directory, settings, LIMIT);
  }
}
