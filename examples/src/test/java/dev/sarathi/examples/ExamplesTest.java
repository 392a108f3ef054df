package dev.sarathi.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ExamplesTest {
  private static final Path SOURCES = Path.of("src/main/java/dev/sarathi/examples");

  @ParameterizedTest
  @ValueSource(strings = {"tickets/TicketSummaries", "labels/MessageLabels", "chat/Chat"})
  void shouldFitOnAScreen(final String example) throws IOException {
    final List<String> code =
        Files.readAllLines(SOURCES.resolve(example + ".java")).stream()
            .map(String::strip)
            .filter(line -> !line.isEmpty() && !line.matches("(//|/\\*|\\*|package |import ).*"))
            .toList();

    assertThat(code).hasSizeLessThan(40);
  }
}
