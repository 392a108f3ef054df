package dev.sarathi.streams;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Locale;
import java.util.stream.Collectors;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigDef.ConfigKey;
import org.junit.jupiter.api.Test;

/** The configuration reference is generated from the definition, never written by hand. */
class ConfigurationReferenceTest {
  private static final Path REFERENCE = Path.of("../docs/configuration.md");
  private static final String WRITE = "sarathi.docs.write";

  @Test
  void shouldBeWhatTheDefinitionSays() throws IOException {
    final String generated = reference();
    if (Boolean.getBoolean(WRITE)) {
      Files.writeString(REFERENCE, generated);
    }

    assertThat(Files.readString(REFERENCE))
        .as("docs/configuration.md is stale: run the tests once with -D%s=true", WRITE)
        .isEqualTo(generated);
  }

  private static String reference() {
    return """
        # Configuration

        Generated from `SarathiConfig`; do not edit. Settings of Kafka Streams, of its clients and of Confluent's
        serializers stand beside these in the same file and are passed on. Required beside them: `bootstrap.servers`,
        `application.id` and `schema.registry.url`.

        | setting | type | default | valid | meaning |
        | --- | --- | --- | --- | --- |
        """
        + SarathiConfig.definition().configKeys().values().stream()
            .sorted(
                Comparator.comparing((ConfigKey key) -> key.importance)
                    .thenComparing(key -> key.name))
            .map(ConfigurationReferenceTest::row)
            .collect(Collectors.joining());
  }

  private static String row(final ConfigKey key) {
    return "| `%s` | %s | %s | %s | %s |%n"
        .formatted(
            key.name,
            key.type.name().toLowerCase(Locale.ROOT),
            key.defaultValue == ConfigDef.NO_DEFAULT_VALUE
                ? "required"
                : "`" + ConfigDef.convertToString(key.defaultValue, key.type) + "`",
            key.validator == null ? "" : key.validator,
            key.documentation.replaceAll("</?code>", "`"));
  }
}
