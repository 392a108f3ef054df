package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A schema registry behind TLS and a password, and what of all secrets can be read somewhere. */
@Tag("long")
class SecureRegistryTest {
  private static final Duration LIMIT = Duration.ofSeconds(90);

  /** All that the brokers or the registry let in, and what opens the keys. */
  private static final List<String> SECRETS =
      List.of(SecureBroker.PASSWORD, GuardedRegistry.PASSWORD, Certificates.PASSWORD, "hunter2");

  @TempDir private static Path directory;
  private static Certificates certificates;
  private static SecureBroker broker;
  private static RegistryProcess registry;
  private static GuardedRegistry proxy;

  @BeforeAll
  static void start() throws Exception {
    certificates = Certificates.make(directory.resolve("keys"));
    // No rights are asked for here: that is another test's.
    broker =
        SecureBroker.start(
            directory.resolve("broker"),
            certificates,
            Map.of("super.users", "User:ANONYMOUS;User:app"));
    registry = RegistryProcess.start(directory.resolve("registry"));
    proxy = GuardedRegistry.start(registry.url(), certificates);
  }

  @AfterAll
  static void stop() {
    proxy.close();
    registry.close();
    broker.close();
  }

  @Test
  void shouldNameTheCredentialsWhenTheRegistryRefusesThem() throws Exception {
    final Map<String, String> settings = settings();
    settings.put("basic.auth.user.info", "app:wrong-hunter2");
    assertThat(errorOf(settings))
        .contains(
            "the schema registry at " + proxy.url() + " did not let the application in",
            "HTTP 401",
            "basic.auth.credentials.source=USER_INFO and basic.auth.user.info (given)");
  }

  @Test
  void shouldNameTheTrustStoreWhenTheRegistryIsAStranger() throws Exception {
    final Map<String, String> settings = settings();
    final String trust = certificates.strangersTrust().toString();
    settings.put("schema.registry.ssl.truststore.location", trust);
    assertThat(Refusal.of(directory, settings, LIMIT))
        .contains(
            "TLS with the schema registry at " + proxy.url() + " failed",
            "unable to find valid certification path",
            "schema.registry.ssl.truststore.location=" + trust);
  }

  @Test
  void shouldNameTheAddressWhenThereIsNoRegistry() throws Exception {
    final String nowhere;
    try (ServerSocket free = new ServerSocket(0)) {
      nowhere = "localhost:" + free.getLocalPort();
    }
    final Map<String, String> settings = settings();
    settings.put("schema.registry.url", "https://app:url-hunter2@" + nowhere);
    settings.put("sarathi.startup.timeout.ms", "3000");
    assertThat(Refusal.of(directory, settings, LIMIT))
        .contains("the schema registry at", "https://" + nowhere, "Connection refused")
        .doesNotContain("hunter2");
  }

  @ParameterizedTest
  @ValueSource(strings = {"literal", "provided"})
  void shouldServeAndTellNoSecret(final String kind) throws Exception {
    // given: all secrets, written out or provided, and a log of everything
    final Map<String, String> variables = new HashMap<>();
    final Map<String, String> settings = settings();
    settings.put("application.id", kind);
    settings.put("sarathi.tokens.topic", kind + "-tokens");
    settings.put("sarathi.prompts.topic", kind + "-prompts");
    settings.put("sarathi.http.listen", "127.0.0.1:0");
    if (kind.equals("provided")) {
      final Path secrets = directory.resolve("secrets.properties");
      Files.writeString(secrets, "trust=" + Certificates.PASSWORD);
      variables.put("BROKER_SECRET", SecureBroker.PASSWORD);
      variables.put("REGISTRY_SECRET", GuardedRegistry.USER + ":" + GuardedRegistry.PASSWORD);
      settings.computeIfPresent(
          "sasl.jaas.config",
          (name, value) -> value.replace(SecureBroker.PASSWORD, "${env:BROKER_SECRET}"));
      settings.remove("basic.auth.credentials.source");
      settings.remove("basic.auth.user.info");
      settings.put(
          "schema.registry.url",
          proxy.url().replace("https://", "https://${env:REGISTRY_SECRET}@"));
      settings.remove("ssl.truststore.password");
      variables.put("KAFKA_SSL_TRUSTSTORE_PASSWORD", Certificates.PASSWORD);
      settings.put("schema.registry.ssl.truststore.password", "${file:" + secrets + ":trust}");
    }
    final Path everything = directory.resolve("everything.xml");
    Files.writeString(
        everything,
        """
        <configuration>
          <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
            <encoder><pattern>%level %logger - %msg%n</pattern></encoder>
          </appender>
          <root level="DEBUG"><appender-ref ref="out"/></root>
        </configuration>
        """);
    try (ShippedApplication application =
        ShippedApplication.start(
            directory, settings, variables, List.of("-Dlogback.configurationFile=" + everything))) {
      application.awaitLine("the page of this instance is at", LIMIT);

      // when
      Prompts.send(
          broker.ownAddress(),
          kind + "-prompts",
          registry.url(),
          List.of(Stories.ofLength("story", 20, 20)));
      try (TokenLog log = new TokenLog(broker.ownAddress(), kind + "-tokens", registry.url())) {
        log.awaitTerminals(1, LIMIT);
      }
      final String page =
          application.logged().replaceAll("(?s).*the page of this instance is at (\\S+).*", "$1");
      final String config = get(page + "config");
      application.stop();

      // then
      assertThat(config).contains("sasl.jaas.config", "schema.registry.url");
      assertTellsNoSecret("/config", config);
      assertThat(application.logged()).contains("DEBUG org.apache.kafka");
      assertTellsNoSecret("the log", application.logged());
    }
  }

  private static Map<String, String> settings() {
    final Map<String, String> settings =
        new HashMap<>(broker.scram(SecureBroker.USER, SecureBroker.PASSWORD));
    settings.put("schema.registry.url", proxy.url());
    settings.put("basic.auth.credentials.source", "USER_INFO");
    settings.put("basic.auth.user.info", GuardedRegistry.USER + ":" + GuardedRegistry.PASSWORD);
    settings.put("schema.registry.ssl.truststore.type", "PKCS12");
    settings.put("schema.registry.ssl.truststore.location", certificates.trust().toString());
    settings.put("schema.registry.ssl.truststore.password", Certificates.PASSWORD);
    return settings;
  }

  /** What an application says that ends by itself. */
  private static String errorOf(final Map<String, String> settings) throws Exception {
    try (ShippedApplication application = ShippedApplication.start(directory, settings)) {
      assertThat(application.awaitEnd(LIMIT)).as(application::logged).isEqualTo(1);
      assertTellsNoSecret("the log", application.logged());
      assertThat(application.logged())
          .as("told before minutes of loading")
          .doesNotContain("loaded");
      assertThat(application.errors()).as(application::logged).hasSize(1);
      return application.errors().getFirst();
    }
  }

  private static void assertTellsNoSecret(final String where, final String text) {
    for (final String secret : SECRETS) {
      assertThat(text.lines().filter(line -> line.contains(secret)).limit(5).toList())
          .as("lines of %s with %s", where, secret)
          .isEmpty();
    }
  }

  private static String get(final String url) throws IOException, InterruptedException {
    try (HttpClient client = HttpClient.newHttpClient()) {
      return client
          .send(HttpRequest.newBuilder(URI.create(url)).build(), BodyHandlers.ofString())
          .body();
    }
  }
}
