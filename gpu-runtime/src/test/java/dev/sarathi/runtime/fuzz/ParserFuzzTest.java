package dev.sarathi.runtime.fuzz;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.sarathi.runtime.model.ConfigFuzz;
import dev.sarathi.runtime.model.SafetensorsFuzz;
import dev.sarathi.runtime.model.ShardIndexFuzz;
import dev.sarathi.runtime.text.ChatConfigFuzz;
import dev.sarathi.runtime.text.StopStringsFuzz;
import dev.sarathi.runtime.text.TokenizerFuzz;
import dev.sarathi.runtime.text.jinja.TemplateFuzz;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Every parser of files from outside, on its corpus and then for a while on what coverage-guided
 * fuzzing makes of it: each start of the fuzzer takes ten seconds of a core, so that belongs to the
 * second tier. {@code ./sarathi fuzz} does it for longer.
 *
 * <p>The fuzzer (Jazzer) runs in a JVM of its own, which its instrumentation, a crash or an
 * exhausted heap is confined to. What is found is kept under {@code target/fuzz}; an input that
 * failed belongs into {@code src/test/resources/fuzz}, so that it is tried from then on.
 */
class ParserFuzzTest {
  private static final Path CORPUS = Path.of("src/test/resources/fuzz");
  private static final Path FOUND = Path.of("target/fuzz");

  /** Set by {@code ./sarathi fuzz}; without, just long enough to show that all of it works. */
  private static final int SECONDS = Integer.getInteger("fuzz.seconds", 2);

  private static final String CHOSEN = System.getProperty("fuzz.target", "");
  private static final boolean LOUD = System.getProperty("fuzz.seconds") != null;

  private enum Target {
    SAFETENSORS(SafetensorsFuzz.class, SafetensorsFuzz::fuzzerTestOneInput),
    SHARD_INDEX(ShardIndexFuzz.class, ShardIndexFuzz::fuzzerTestOneInput),
    CONFIG(ConfigFuzz.class, ConfigFuzz::fuzzerTestOneInput),
    TOKENIZER(TokenizerFuzz.class, TokenizerFuzz::fuzzerTestOneInput),
    CHAT_CONFIG(ChatConfigFuzz.class, ChatConfigFuzz::fuzzerTestOneInput),
    TEMPLATE(TemplateFuzz.class, TemplateFuzz::fuzzerTestOneInput),
    STOP_STRINGS(StopStringsFuzz.class, StopStringsFuzz::fuzzerTestOneInput);

    private final Class<?> type;
    private final Consumer<byte[]> once;

    Target(final Class<?> type, final Consumer<byte[]> once) {
      this.type = type;
      this.once = once;
    }

    String label() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
  }

  @ParameterizedTest
  @EnumSource(Target.class)
  void shouldBearItsCorpus(final Target target) throws IOException {
    try (Stream<Path> corpus = Files.list(CORPUS.resolve(target.label()))) {
      final List<Path> inputs = corpus.toList();
      assertThat(inputs).isNotEmpty();
      for (final Path input : inputs) {
        target.once.accept(Files.readAllBytes(input));
      }
    }
  }

  @Tag("long")
  @ParameterizedTest
  @EnumSource(Target.class)
  void shouldBearWhatTheFuzzerFinds(final Target target) throws Exception {
    assumeTrue(CHOSEN.isEmpty() || CHOSEN.equals(target.label()), "another target is chosen");
    assumeTrue(
        System.getProperty("os.name").matches("Linux|Mac.*"), "Jazzer has no library for this OS");
    // given
    final Path found = Files.createDirectories(FOUND.resolve(target.label() + "/corpus"));
    final Process fuzzer =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "--sun-misc-unsafe-memory-access=allow",
                "-XX:+EnableDynamicAgentLoading",
                "-Xmx512m",
                "-cp",
                System.getProperty("java.class.path"),
                "com.code_intelligence.jazzer.Jazzer",
                "--target_class=" + target.type.getName(),
                "--instrumentation_includes=dev.sarathi.**",
                "--reproducer_path=" + found.getParent(),
                "-artifact_prefix=" + found.getParent() + "/",
                "-max_total_time=" + SECONDS,
                "-max_len=8192",
                "-timeout=20",
                found.toString(),
                CORPUS.resolve(target.label()).toString())
            .redirectErrorStream(true)
            .start();

    // when
    final StringBuilder report = new StringBuilder();
    try (BufferedReader output = fuzzer.inputReader()) {
      output
          .lines()
          .forEach(
              line -> {
                report.append(line).append('\n');
                if (LOUD) {
                  System.out.println(line);
                }
              });
    }

    // then
    assertThat(fuzzer.waitFor()).as(report.toString()).isZero();
    assertThat(report).contains("Done ");
  }
}
