package dev.sarathi.tests;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Kafka's own command-line tools, in a JVM of their own, as the guides tell to call them. */
final class KafkaTool {
  private static final Path GUIDE = Path.of("../docs/operate.md");

  private static final Map<String, String> TOOLS =
      Map.of(
          "kafka-streams-application-reset", "org.apache.kafka.tools.StreamsResetter",
          "kafka-acls", "org.apache.kafka.tools.AclCommand",
          "kafka-console-consumer", "org.apache.kafka.tools.consumer.ConsoleConsumer");

  private KafkaTool() {}

  /** The commands of the guide that begin with a tool's name, in their order. */
  static List<String> commandsOf(final String tool) throws IOException {
    return commandsOf(GUIDE, tool);
  }

  /** The commands of another guide. */
  static List<String> commandsOf(final Path guide, final String tool) throws IOException {
    return Files.readAllLines(guide).stream().filter(line -> line.startsWith(tool + " ")).toList();
  }

  /** Runs a command line, with some of its words replaced and others added, to a good end. */
  static byte[] run(final String command, final Map<String, String> replaced, final String... added)
      throws IOException, InterruptedException {
    final List<String> words = new ArrayList<>(List.of(command.split(" ")));
    words.replaceAll(word -> replaced.getOrDefault(word, word));
    words.addAll(List.of(added));
    final List<String> call =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xmx128m",
                "-cp",
                System.getProperty("java.class.path"),
                TOOLS.get(words.getFirst())));
    call.addAll(words.subList(1, words.size()));
    final Process process =
        new ProcessBuilder(call).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try {
      final ByteArrayOutputStream out = new ByteArrayOutputStream();
      process.getInputStream().transferTo(out);
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).as(command).isTrue();
      assertThat(process.exitValue()).as("%s%n%s", words, text(out.toByteArray())).isZero();
      return out.toByteArray();
    } finally {
      process.destroyForcibly();
    }
  }

  /** Bytes as characters, one for each. */
  static String text(final byte[] bytes) {
    return new String(bytes, StandardCharsets.ISO_8859_1);
  }
}
