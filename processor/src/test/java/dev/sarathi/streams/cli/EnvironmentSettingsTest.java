package dev.sarathi.streams.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.streams.SarathiConfig;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EnvironmentSettingsTest {

  @ParameterizedTest
  @CsvSource({
    "SARATHI_TOKEN_BUDGET, sarathi.token.budget",
    "KAFKA_BOOTSTRAP_SERVERS, bootstrap.servers",
    "KAFKA_PRODUCER_LINGER_MS, producer.linger.ms",
    "KAFKA_SASL_OAUTHBEARER_SUB__CLAIM, sasl.oauthbearer.sub_claim",
    "KAFKA_A___B, a-b",
    "SARATHI_MISSPELT, sarathi.misspelt",
  })
  void shouldReadASettingFromAVariable(final String variable, final String setting) {
    assertThat(EnvironmentSettings.of(Map.of(variable, " value ")))
        .isEqualTo(Map.of(setting, "value"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"PATH", "SARATHI_JAVA_OPTS", "SARATHI_SKIP_BUILD", "KAFKA_HEAP_OPTS"})
  void shouldLeaveOtherVariablesAlone(final String variable) {
    assertThat(EnvironmentSettings.of(Map.of(variable, "value"))).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "SARATHI_SERVICE_HOST",
        "SARATHI_SERVICE_PORT_HTTP",
        "SARATHI_PORT",
        "SARATHI_STREAMS_PORT_8080_TCP_ADDR",
        "KAFKA_SERVICE_PORT",
        "KAFKA_PORT_9092_TCP"
      })
  void shouldNotTakeAnAddressOfKubernetesForASetting(final String variable) {
    assertThat(EnvironmentSettings.of(Map.of(variable, "tcp://10.0.0.1:9092"))).isEmpty();
  }

  @Test
  void shouldMistakeNoSettingOfOursForAnAddressOfKubernetes() {
    assertThat(SarathiConfig.definition().names())
        .allSatisfy(
            setting ->
                assertThat(
                        EnvironmentSettings.of(
                            Map.of(setting.toUpperCase(Locale.ROOT).replace('.', '_'), "1")))
                    .containsOnlyKeys(setting));
  }
}
