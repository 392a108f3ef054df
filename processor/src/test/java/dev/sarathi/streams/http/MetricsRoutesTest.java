package dev.sarathi.streams.http;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import org.apache.kafka.common.config.types.Password;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MetricsRoutesTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "sasl.jaas.config",
        "main.consumer.sasl.jaas.config",
        "producer.ssl.keystore.key",
        "ssl.keystore.certificate.chain",
        "ssl.truststore.certificates",
        "ssl.key.password",
        "basic.auth.user.info",
        "schema.registry.basic.auth.user.info",
        "bearer.auth.token",
        "sasl.oauthbearer.client.credentials.client.secret",
        "my.plugin.API_KEY"
      })
  void shouldHideWhatMayBeASecret(final String name) {
    assertThat(MetricsRoutes.shown(Map.of(name, "hunter2"))).containsEntry(name, "[hidden]");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "sarathi.token.budget",
        "sarathi.tokens.topic",
        "sarathi.max.uncommitted.tokens",
        "key.serializer",
        "ssl.keystore.location",
        "bootstrap.servers",
        "application.id"
      })
  void shouldShowWhatIsNone(final String name) {
    assertThat(MetricsRoutes.shown(Map.of(name, "shown"))).containsEntry(name, "shown");
  }

  @Test
  void shouldHideThePasswordOfAnAddressAndOfThatType() {
    assertThat(
            MetricsRoutes.shown(
                Map.of(
                    "schema.registry.url",
                    "https://me:hunter2@one:8081,https://me:hun@ter2@two:8081",
                    "anything",
                    new Password("hunter2"))))
        .containsEntry("schema.registry.url", "https://[hidden]@one:8081,https://[hidden]@two:8081")
        .containsEntry("anything", "[hidden]");
  }
}
