package dev.sarathi.streams;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.runtime.EngineConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.config.provider.DirectoryConfigProvider;
import org.apache.kafka.streams.StreamsConfig;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SarathiConfigTest {

  @Test
  void shouldNeedNothingButAModel() {
    // when
    final SarathiConfig config = SarathiConfig.of(Map.of("sarathi.model", "some/model"));

    // then
    assertThat(config.engine())
        .isEqualTo(EngineConfig.of(Path.of("some/model")).withPolicy("stall-free"));
    assertThat(config.generation().drainInterval()).isEqualTo(Duration.ofMillis(2));
    assertThat(config.generation().onModelChange()).isEqualTo(ModelChange.FAIL);
    assertThatThrownBy(() -> SarathiConfig.of(Map.of()))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("sarathi.model");
  }

  @ParameterizedTest
  @CsvSource({
    "sarathi.modell, x, sarathi.modell is not a setting of Sarathi Streams",
    "sarathi.preset, fast, 'latency, throughput'",
    "sarathi.prompts.topic, '', sarathi.prompts.topic",
    "sarathi.dead.letters.topic, '', sarathi.dead.letters.topic",
    "sarathi.tokens.topic, prompts, sarathi.tokens.topic: is also the topic of the prompts",
    "sarathi.dead.letters.topic, prompts, sarathi.dead.letters.topic: is also the topic",
    "sarathi.token.budget, 15, 'token budget is 15; valid is auto, or 16 or more'",
    "sarathi.executor, tpu, 'auto, cpu, cuda'",
    "sarathi.scheduler, fifo, sarathi.scheduler",
    "sarathi.engine.window, 0, sarathi.engine.window",
    "sarathi.engine.window, many, sarathi.engine.window",
    "sarathi.max.attempts, 0, sarathi.max.attempts",
    "sarathi.on.model.change, ignore, 'fail, continue'",
    "sarathi.bulk.aging.ms, -1, sarathi.bulk.aging.ms",
    "sarathi.bulk.aging.ms, 9223372036854775807, sarathi.bulk.aging.ms",
    "sarathi.max.request.bytes, 1023, Value must be at least 1024",
  })
  void shouldRefuseWhatCannotBe(final String name, final String value, final String message) {
    assertThatThrownBy(() -> config(name, value))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining(message);
  }

  @Test
  void shouldFillInWhatAPresetSaysAndWhatIsGivenNot() {
    // when
    final SarathiConfig config =
        SarathiConfig.of(
            Map.of(
                "sarathi.model", "m",
                "sarathi.preset", "throughput",
                "sarathi.output.max.tokens.per.record", "3"));

    // then
    assertThat(config.generation().drainInterval()).isEqualTo(Duration.ofMillis(200));
    assertThat(config.generation().maxUncommittedTokens()).isEqualTo(32_768);
    assertThat(config.generation().maxTokensPerRecord()).isEqualTo(3);
    assertThat(config.streams())
        .containsEntry("poll.ms", 10L)
        .containsEntry("producer.linger.ms", 50)
        .doesNotContainKey("sarathi.preset");
  }

  @Test
  void shouldTakeSettingsFromConfigProviders(@TempDir final Path secrets) throws IOException {
    // given
    Files.writeString(secrets.resolve("password"), "a ${directory:b:c} secret");
    Files.writeString(secrets.resolve("budget"), "64");
    final String from = "${directory:" + secrets + ":";
    final Map<String, Object> properties = new HashMap<>();
    properties.put("config.providers", "directory");
    properties.put("config.providers.directory.class", DirectoryConfigProvider.class.getName());
    properties.put("sarathi.model", "m");
    properties.put("sarathi.token.budget", from + "budget}");
    properties.put("basic.auth.user.info", "user:" + from + "password}");

    // when
    final SarathiConfig config = SarathiConfig.of(properties);

    // then
    assertThat(config.engine().tokenBudget())
        .isEqualTo(
            SarathiConfig.of(Map.of("sarathi.model", "m", "sarathi.token.budget", "64"))
                .engine()
                .tokenBudget());
    assertThat(config.streams())
        .containsEntry("basic.auth.user.info", "user:a ${directory:b:c} secret")
        .doesNotContainKey("config.providers");
    assertThat(config.clients())
        .containsEntry("basic.auth.user.info", "user:a ${directory:b:c} secret");

    // when there is no such file
    properties.put("basic.auth.user.info", "user:" + from + "other}");

    // then
    assertThatThrownBy(() -> SarathiConfig.of(properties))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("basic.auth.user.info refers to")
        .hasMessageContaining("which is not there");

    // nor does the error tell what stands beside it
    properties.put("basic.auth.user.info", "user:hunter2" + from + "password}" + from + "other}");
    assertThatThrownBy(() -> SarathiConfig.of(properties))
        .isInstanceOf(ConfigException.class)
        .hasMessage("basic.auth.user.info refers to " + from + "other}, which is not there");
  }

  @Test
  void shouldTakeCredentialsOutOfTheAddressOfTheRegistry() {
    assertThat(
            config("schema.registry.url", "https://me:a%40b+c@one,https://me:a%40b+c@two")
                .streams())
        .containsEntry("schema.registry.url", "https://one,https://two")
        .containsEntry("basic.auth.credentials.source", "USER_INFO")
        .containsEntry("basic.auth.user.info", "me:a@b+c");
    assertThat(
            SarathiConfig.of(
                    Map.of(
                        "sarathi.model",
                        "m",
                        "schema.registry.url",
                        "https://me:a@one",
                        "basic.auth.credentials.source",
                        "USER_INFO",
                        "basic.auth.user.info",
                        "you:b"))
                .streams())
        .containsEntry("schema.registry.url", "https://one")
        .containsEntry("basic.auth.user.info", "you:b");
    assertThat(config("schema.registry.url", "https://me:a@one,https://you:b@two").streams())
        .containsEntry("schema.registry.url", "https://me:a@one,https://you:b@two")
        .doesNotContainKey("basic.auth.user.info");
  }

  @Test
  void shouldRefuseAWeakerGuarantee() {
    assertThat(config("x", "y").streams())
        .containsEntry(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, "exactly_once_v2");
    assertThatThrownBy(() -> config("processing.guarantee", "at_least_once").streams())
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("at_least_once")
        .hasMessageContaining("valid is exactly_once_v2");
  }

  @Test
  void shouldLetEveryAdmissibleRequestThroughTheProducer() {
    assertThat(config("sarathi.max.request.bytes", "5000000").streams())
        .containsEntry("producer.max.request.size", 5_000_000 + (1 << 20));
    assertThat(config("producer.max.request.size", "7").streams())
        .containsEntry("producer.max.request.size", "7");
  }

  @Test
  void shouldTranslateEverySettingOfTheEngine() {
    // given
    final Map<String, Object> properties =
        Map.of(
            "sarathi.model", "m",
            "sarathi.executor", "cpu",
            "sarathi.token.budget", "64",
            "sarathi.max.sequences", 7,
            "sarathi.kv.memory", "1000000",
            "sarathi.max.context", "300",
            "sarathi.cpu.threads", "2",
            "sarathi.bulk.aging.ms", "1500");

    // when, then
    assertThat(SarathiConfig.of(properties).engine())
        .isEqualTo(
            EngineConfig.of(Path.of("m"))
                .withExecutor("cpu")
                .withTokenBudget(64)
                .withMaxSequences(7)
                .withKvMemory(1_000_000)
                .withMaxContext(300)
                .withThreads(2)
                .withBulkAging(Duration.ofMillis(1500)));
  }

  private static SarathiConfig config(final String name, final String value) {
    final Map<String, Object> properties = new HashMap<>(Map.of("sarathi.model", "m"));
    properties.put(name, value);
    return SarathiConfig.of(properties);
  }
}
