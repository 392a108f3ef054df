package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.cli.AdminCommand;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.acl.AccessControlEntryFilter;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.ResourcePatternFilter;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** What is done beside the application, by users who have the rights of the guide and no more. */
@Tag("long")
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class OperatorRightsTest {
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final Path GUIDE = Path.of("../docs/secure.md");

  @TempDir private static Path directory;
  private static SecureBroker broker;
  private static Admin admin;

  @BeforeAll
  static void start() throws Exception {
    broker =
        SecureBroker.start(
            directory.resolve("broker"), Certificates.make(directory.resolve("keys")), Map.of());
    admin = broker.admin();
    admin
        .createTopics(
            Stream.of("prompts", "tokens", "completions", "jobs", "dead-letters")
                .map(name -> new NewTopic(name, 2, (short) 1))
                .toList())
        .all()
        .get();
    grantAsTheGuideSays("app");
  }

  @AfterAll
  static void stop() {
    admin.close();
    broker.close();
  }

  @Test
  @Order(1)
  void shouldServeByTheStreamsProtocolWithTheRightsOfTheApplication() throws Exception {
    // given: rights of the same kind, for an application that begins with this protocol
    for (final String command : commandsFor("app")) {
      KafkaTool.run(command.replace("stories", "tales"), address());
    }
    SecureBroker.settle();

    // when
    try (Application application = start("tales", Map.of("group.protocol", "streams"));
        TokenLog log = new TokenLog(broker.ownAddress(), "tokens")) {
      Prompts.send(broker.ownAddress(), "prompts", List.of(Stories.ofLength("one", 20, 20)));

      // then
      log.awaitTerminals(1, LIMIT);
      assertThat(application.isRunning()).isTrue();
    }
  }

  @Test
  @Order(2)
  void shouldRequeueAndCancelWithTheRightsOfTheGuide() throws Exception {
    // given: a dead letter, and a generation that goes on and on
    final Path operator = login("operator");
    try (Application application = start("stories", Map.of());
        TokenLog log = new TokenLog(broker.ownAddress(), "tokens")) {
      try (Producer<String, byte[]> producer =
          new KafkaProducer<>(
              Map.of("bootstrap.servers", broker.ownAddress()),
              new StringSerializer(),
              new ByteArraySerializer())) {
        producer.send(new ProducerRecord<>("prompts", "broken", new byte[] {1, 2})).get();
      }
      Prompts.send(broker.ownAddress(), "prompts", List.of(Stories.endless("long")));
      final long deadline = System.nanoTime() + LIMIT.toNanos();
      while (log.of("long").isEmpty() || broker.size("dead-letters") == 0) {
        assertThat(System.nanoTime()).isLessThan(deadline);
        log.poll();
      }

      // when, then
      assertThat(admin("requeue", "--application=" + operator)).contains("1 put back");
      assertThat(admin("cancel", "--application=" + operator, "--wait", "long"))
          .contains("long has ended: CANCELLED");
      assertThat(application.isRunning()).isTrue();
    }
    // and each is needed
    for (final AclBinding right : rightsOf("operator")) {
      broker.revoke(right);
      final String what = right.entry().operation() + " on ";
      final String command = right.pattern().name().equals("tokens") ? "cancel" : "requeue";
      assertThat(
              command.equals("cancel")
                  ? admin(command, "--application=" + operator, "--wait", "nobody")
                  : admin(command, "--application=" + operator))
          .as("without %s", right)
          .contains("not authorized: ")
          .containsPattern(what + "[a-z ]+" + right.pattern().name());
      broker.grant(right);
    }
  }

  @Test
  @Order(3)
  void shouldResetWithTheRightsOfTheGuide() throws Exception {
    // given
    final Path resetter = login("resetter");
    final String command =
        KafkaTool.commandsOf("kafka-streams-application-reset").stream()
            .filter(line -> line.endsWith("prompts --to-earliest"))
            .findFirst()
            .orElseThrow();
    final Map<String, String> words =
        Map.of("localhost:9092", broker.scram("resetter", "").get("bootstrap.servers"));

    // when one is missing, then the tool fails; but what it may not delete it does not see
    for (final AclBinding right : rightsOf("resetter")) {
      broker.revoke(right);
      if (right.entry().operation() == AclOperation.DELETE) {
        assertThat(tried(command, words, resetter))
            .contains("Deleting inferred internal topics []");
      } else {
        assertThatThrownBy(() -> tried(command, words, resetter))
            .as("without %s", right)
            .isInstanceOf(AssertionError.class);
      }
      broker.grant(right);
    }

    // when, then
    KafkaTool.run(command, words, "--command-config", resetter.toString());
    assertThat(admin.listTopics().names().get())
        .noneMatch(topic -> topic.startsWith("stories-"))
        .anyMatch(topic -> topic.startsWith("tales-"));
  }

  /** What the tool says it would do. */
  private static String tried(
      final String command, final Map<String, String> words, final Path login)
      throws IOException, InterruptedException {
    return KafkaTool.text(
        KafkaTool.run(command, words, "--dry-run", "--command-config", login.toString()));
  }

  private static Application start(final String id, final Map<String, String> more) {
    final Map<String, String> settings = new HashMap<>(more);
    settings.putAll(broker.scram(SecureBroker.USER, SecureBroker.PASSWORD));
    settings.put("application.id", id);
    return Application.start(ShippedApplication.completed(directory, settings));
  }

  /** A user with the rights of the guide, and the file by which they come. */
  private static Path login(final String user) throws Exception {
    broker.add(user);
    grantAsTheGuideSays(user);
    final Properties settings = new Properties();
    settings.putAll(broker.scram(user, SecureBroker.PASSWORD));
    settings.put("application.id", "stories");
    settings.put("schema.registry.url", "mock://tests");
    final Path file = directory.resolve(user + ".properties");
    try (Writer writer = Files.newBufferedWriter(file)) {
      settings.store(writer, null);
    }
    return file;
  }

  /** What {@code sarathi admin} tells, good or bad. */
  private static String admin(final String... arguments) {
    final StringWriter told = new StringWriter();
    new CommandLine(new AdminCommand())
        .setOut(new PrintWriter(told))
        .setErr(new PrintWriter(told))
        .execute(arguments);
    return told.toString();
  }

  private static List<String> commandsFor(final String user) throws IOException {
    return KafkaTool.commandsOf(GUIDE, "kafka-acls").stream()
        .filter(command -> command.contains("User:" + user + " "))
        .toList();
  }

  private static Map<String, String> address() {
    return Map.of("localhost:9092", broker.ownAddress());
  }

  private static void grantAsTheGuideSays(final String user) throws Exception {
    for (final String command : commandsFor(user)) {
      KafkaTool.run(command, address());
    }
    SecureBroker.settle();
  }

  private static Collection<AclBinding> rightsOf(final String user) throws Exception {
    final Collection<AclBinding> rights =
        admin
            .describeAcls(
                new AclBindingFilter(
                    ResourcePatternFilter.ANY,
                    new AccessControlEntryFilter(
                        "User:" + user, null, AclOperation.ANY, AclPermissionType.ANY)))
            .values()
            .get();
    assertThat(rights).isNotEmpty();
    return rights;
  }
}
