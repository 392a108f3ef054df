package dev.sarathi.runtime.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JsonTest {
  @TempDir private Path directory;

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "``                   | not a JSON object",
        "[]                   | not a JSON object",
        "{\"a\": NaN}         | not valid JSON: Non-standard token 'NaN'",
        "{\"a\": 1, \"a\": 2} | Duplicate field 'a'",
        "{} {}                | not valid JSON: Trailing token",
        "{\"a\": 01}          | not valid JSON: Invalid numeric value",
        "{\"a\": \"\\ud8\"}   | not valid JSON",
        "{\"a\": 1,}          | at character 8",
        "{'a': 1}             | at character 1",
        "{/**/}               | at character 1",
      })
  void shouldNameFileAndPlace(final String json, final String problem) throws IOException {
    final Path file = Files.writeString(directory.resolve("config.json"), json);

    assertRefused(file, problem);
  }

  @Test
  void shouldRefuseDeepNesting() throws IOException {
    final Path file =
        Files.writeString(directory.resolve("config.json"), "{\"a\":" + "[".repeat(100_000));

    assertRefused(file, "nesting depth");
  }

  @Test
  void shouldRefuseWhatIsNoFile() throws IOException {
    assertRefused(directory.resolve("absent.json"), "no such file");
    assertRefused(directory, "not a regular file");
    final Path loop = directory.resolve("loop.json");
    assertRefused(Files.createSymbolicLink(loop, loop), "cannot be read");
  }

  @Test
  void shouldKeepWhatIsNoDamage() throws IOException {
    final Path file =
        Files.writeString(directory.resolve("config.json"), "{\"ключ\": [1e3, null]}");

    assertThat(Json.read(file).path("ключ").path(0).asDouble()).isEqualTo(1000);
  }

  private static void assertRefused(final Path file, final String problem) {
    assertThatExceptionOfType(ModelFormatException.class)
        .isThrownBy(() -> Json.read(file))
        .withMessageStartingWith(file + ": ")
        .withMessageContaining(problem);
  }
}
