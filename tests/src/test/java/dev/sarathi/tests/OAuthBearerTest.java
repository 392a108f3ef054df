package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The application logs in with tokens of an identity provider. */
@Tag("long")
class OAuthBearerTest {
  private static final Duration LIMIT = Duration.ofSeconds(90);

  @TempDir private static Path directory;
  private static TokenEndpoint provider;
  private static SecureBroker broker;

  @BeforeAll
  static void start() throws Exception {
    provider = TokenEndpoint.start();
    final Path keys = directory.resolve("keys.json");
    provider.writeKeys(keys);
    broker =
        SecureBroker.start(
            directory.resolve("broker"),
            Certificates.make(directory.resolve("keys")),
            Map.of(
                "super.users",
                "User:ANONYMOUS;User:app",
                "sasl.enabled.mechanisms",
                "OAUTHBEARER",
                "listener.name.secure.oauthbearer.sasl.jaas.config",
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
                "listener.name.secure.oauthbearer.sasl.server.callback.handler.class",
                TokenValidator.class.getName(),
                "sasl.oauthbearer.jwks.endpoint.url",
                keys.toUri().toString(),
                "sasl.oauthbearer.expected.audience",
                "kafka"));
  }

  @AfterAll
  static void stop() {
    broker.close();
    provider.close();
  }

  @Test
  void shouldServeWithATokenOfTheProvider() throws Exception {
    try (ShippedApplication application = start(settings(TokenEndpoint.SECRET))) {
      application.awaitLine("streams RUNNING", LIMIT);
      Prompts.send(broker.ownAddress(), "prompts", List.of(Stories.ofLength("story", 20, 20)));
      try (TokenLog log = new TokenLog(broker.ownAddress(), "tokens");
          Oracle oracle = new Oracle()) {
        log.awaitTerminals(1, LIMIT);
        log.assertExactlyOnce("story", oracle.answers(Stories.ofLength("story", 20, 20)));
      }
      application.stop();
      assertThat(application.logged()).doesNotContain("hunter2", "eyJ");
    }
  }

  @Test
  void shouldNameTheProviderWhenItRefusesTheSecret() throws Exception {
    try (ShippedApplication application = start(settings("wrong-hunter2"))) {
      assertThat(application.awaitEnd(LIMIT)).as(application::logged).isEqualTo(1);
      assertThat(application.errors())
          .as(application::logged)
          .singleElement()
          .asString()
          .contains("sasl.mechanism=OAUTHBEARER", provider.url(), "client.secret")
          .doesNotContain("hunter2");
    }
  }

  private static ShippedApplication start(final Map<String, String> settings) {
    return ShippedApplication.start(
        directory,
        settings,
        Map.of(),
        List.of("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=" + provider.url()));
  }

  private static Map<String, String> settings(final String secret) {
    final Map<String, String> settings = broker.tls();
    settings.put("sasl.mechanism", "OAUTHBEARER");
    settings.put(
        "sasl.login.callback.handler.class",
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler");
    settings.put("sasl.oauthbearer.token.endpoint.url", provider.url());
    settings.put("sasl.oauthbearer.client.credentials.client.id", TokenEndpoint.CLIENT);
    settings.put("sasl.oauthbearer.client.credentials.client.secret", secret);
    settings.put(
        "sasl.jaas.config",
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;");
    return settings;
  }
}
