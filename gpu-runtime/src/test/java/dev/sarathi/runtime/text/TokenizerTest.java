package dev.sarathi.runtime.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TokenizerTest {
  private static final Tokenizer TOKENIZER = Storyteller.TOKENIZER;

  @Test
  void shouldAgreeWithTheReference() throws IOException {
    final JsonNode golden =
        new ObjectMapper().readTree(Storyteller.DIRECTORY.resolve("golden.json").toFile());

    assertThat(golden).isNotEmpty();
    for (JsonNode generation : golden) {
      final String prompt = generation.get("prompt").asText();
      assertThat(TOKENIZER.encode(prompt)).isEqualTo(ids(generation.get("prompt_ids")));
      assertThat(TOKENIZER.decode(ids(generation.get("prompt_ids")))).isEqualTo(prompt);
      assertThat(TOKENIZER.decode(ids(generation.get("greedy"))))
          .isEqualTo(generation.get("text").asText());
    }
  }

  @Test
  void shouldAddTheSpecialTokensOnlyWhenAsked() {
    final int[] with = TOKENIZER.encode("a fox");
    final int[] without = TOKENIZER.encode("a fox", false);

    assertThat(with[0]).isEqualTo(TOKENIZER.id("<s>").orElseThrow());
    assertThat(IntStream.of(with).skip(1))
        .containsExactlyElementsOf(IntStream.of(without).boxed().toList());
  }

  @Test
  void shouldKnowItsVocabulary() {
    assertThat(TOKENIZER.vocabularySize()).isEqualTo(898);
    assertThat(TOKENIZER.id("</s>")).hasValue(2);
    assertThat(TOKENIZER.id("no such token")).isEmpty();
  }

  @Test
  void shouldHaveNoTextForIdsOutsideTheVocabulary() {
    assertThat(TOKENIZER.decode(-1, 898, Integer.MAX_VALUE, Integer.MIN_VALUE)).isEmpty();
  }

  @Test
  void shouldEncodeAnUnpairedSurrogateAsAReplacementCharacter() {
    assertThat(TOKENIZER.encode("a\uD83Db")).isEqualTo(TOKENIZER.encode("a\uFFFDb"));
  }

  @Property(tries = 300)
  void shouldGiveBackWhatItEncoded(@ForAll final String text) {
    final String characters =
        new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8);

    assertThat(TOKENIZER.decode(TOKENIZER.encode(characters))).isEqualTo(characters);
  }

  @Test
  void shouldServeSeveralThreads() {
    final String text = "Once upon a time there were some friends 😀. ".repeat(50);
    final int[] expected = TOKENIZER.encode(text);

    assertThat(IntStream.range(0, 200).parallel().mapToObj(i -> TOKENIZER.encode(text)))
        .allSatisfy(ids -> assertThat(ids).isEqualTo(expected));
  }

  @Test
  void shouldRefuseUseAfterClosing() {
    final Tokenizer tokenizer = Tokenizer.open(Storyteller.DIRECTORY);
    tokenizer.close();
    tokenizer.close();

    assertThatIllegalStateException().isThrownBy(() -> tokenizer.encode("a"));
  }

  @Test
  void shouldIgnoreTruncationAndPaddingOfTheFile(@TempDir final Path directory) throws IOException {
    // given
    write(
        directory,
        storyteller()
            .replace(
                "\"truncation\": null",
                """
                "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}\
                """)
            .replace(
                "\"padding\": null",
                """
                "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null,
                  "pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>"}\
                """));

    // then
    try (Tokenizer tokenizer = Tokenizer.open(directory)) {
      assertThat(tokenizer.encode("a")).isEqualTo(TOKENIZER.encode("a"));
      assertThat(tokenizer.encode("Once upon a time"))
          .isEqualTo(TOKENIZER.encode("Once upon a time"));
    }
  }

  @Test
  void shouldNameAMissingFile(@TempDir final Path directory) {
    assertThatExceptionOfType(TokenizerException.class)
        .isThrownBy(() -> Tokenizer.open(directory))
        .withMessageStartingWith(directory.resolve("tokenizer.json") + ": no such file");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "`` | not the JSON of a tokenizer (line 1): No content",
        "null                                     | model.vocab is missing",
        "[]                                       | not the JSON of a tokenizer",
        "{}                                       | model.vocab is missing",
        "{\"model\": {\"vocab\": {}}}             | model.vocab is empty",
        "{\"model\": {\"vocab\": 7}}              | model.vocab is empty",
        "{\"model\": {\"vocab\": {\"a\": -1}}}    | token \"a\" has the id -1; valid are 0 to 16,777,215",
        "{\"model\": {\"vocab\": {\"a\": 1e99}}}  | token \"a\" has the id",
        "{\"model\": {\"vocab\": {\"a\": null}}}  | token \"a\" has the id null",
        "{\"model\": {\"vocab\": {\"a\": 4294967295}}} | token \"a\" has the id 4294967295",
        "{\"model\": {\"vocab\": {\"a\": 0}}}     | data did not match any variant",
      })
  void shouldRefuseWhatIsNoTokenizer(
      final String json, final String reason, @TempDir final Path directory) throws IOException {
    write(directory, json);

    assertThatExceptionOfType(TokenizerException.class)
        .isThrownBy(() -> Tokenizer.open(directory))
        .withMessageStartingWith(directory.resolve("tokenizer.json") + ": ")
        .withMessageContaining(reason);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"pre_tokenizer\": { | \"pre_tokenizer\": {\"type\": \"FixedLength\", \"length\": 0}, \"x\": { | pre_tokenizer FixedLength is not supported",
        "\"single\": [ | \"single\": [{\"Sequence\": {\"id\": \"B\", \"type_id\": 0}}], \"x\": [ | post_processor places a second text",
        "\"normalizer\": null | \"normalizer\": {\"type\": \"Prepend\", \"prepend\": \"\"} | normalizer Prepend has nothing",
        "\"normalizer\": null | \"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"x*\"}, \"content\": \"\"} | normalizer Replace has the pattern \"x*\"",
        "\"normalizer\": null | \"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"AAAA\"} | normalizer Precompiled is not supported",
        "\"normalizer\": null | \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"AAAA\"}]} | normalizer Precompiled is not supported",
        "\"continuing_subword_prefix\": null | \"continuing_subword_prefix\": \"##########\" | model.continuing_subword_prefix \"##########\" is not supported",
        "\"decoder\": { | \"decoder\": {\"type\": \"Strip\", \"content\": \"a\", \"start\": 0, \"stop\": 5}, \"x\": { | decoder Strip has the stop 5",
        "\"special_tokens\": { | \"special_tokens\": {}, \"x\": { | post_processor adds \"<s>\", which its special_tokens lack",
      })
  void shouldRefuseWhatWouldEndTheProcess(
      final String part,
      final String replacement,
      final String reason,
      @TempDir final Path directory)
      throws IOException {
    // given
    final String json = storyteller();
    assertThat(json).contains(part);
    write(directory, json.replace(part, replacement));

    // then
    assertThatExceptionOfType(TokenizerException.class)
        .isThrownBy(() -> Tokenizer.open(directory))
        .withMessageContaining(reason);
  }

  @Test
  void shouldRefuseToAddAnIdOutsideTheVocabulary(@TempDir final Path directory) throws IOException {
    // given
    final String json = storyteller();
    write(directory, json.replaceFirst("(?<one>\"ids\": \\[\\s*)1", "${one}99999"));

    // then
    assertThatExceptionOfType(TokenizerException.class)
        .isThrownBy(() -> Tokenizer.open(directory))
        .withMessageEndingWith(
            "The tokenizer adds the id 99999; the last of its vocabulary is 897");
  }

  @Test
  void shouldNameTheLineOfATruncatedFile(@TempDir final Path directory) throws IOException {
    write(directory, storyteller().substring(0, 20_000));

    assertThatExceptionOfType(TokenizerException.class)
        .isThrownBy(() -> Tokenizer.open(directory))
        .withMessageMatching(".*tokenizer\\.json: not the JSON of a tokenizer \\(line \\d+\\): .*");
  }

  @Test
  void shouldRefuseAFileThatIsNotUtf8(@TempDir final Path directory) throws IOException {
    Files.write(directory.resolve("tokenizer.json"), new byte[] {'{', (byte) 0xFF, '}'});

    assertThatExceptionOfType(TokenizerException.class)
        .isThrownBy(() -> Tokenizer.open(directory))
        .withMessageEndingWith("not UTF-8");
  }

  @Test
  void shouldRefuseDeepNesting(@TempDir final Path directory) throws IOException {
    write(directory, "{\"decoder\": " + "[".repeat(100_000));

    assertThatExceptionOfType(TokenizerException.class)
        .isThrownBy(() -> Tokenizer.open(directory))
        .withMessageContaining("nesting depth");
  }

  @Test
  void shouldRefuseAPatternThatTakesTheStackToCompile(@TempDir final Path directory)
      throws IOException {
    write(
        directory,
        storyteller()
            .replace(
                "\"normalizer\": null",
                """
                "normalizer": {"type": "Replace", "pattern": {"Regex": "%s"}, "content": ""}"""
                    .formatted("(".repeat(100_000))));

    assertThatExceptionOfType(TokenizerException.class)
        .isThrownBy(() -> Tokenizer.open(directory))
        .withMessageEndingWith("pattern of 100,000 characters; at most 1,000 are supported");
  }

  @ParameterizedTest
  @ValueSource(strings = {"/dev/zero", "/", "tokenizer.json"})
  void shouldRefuseWhatIsNoFile(final String target, @TempDir final Path directory)
      throws IOException {
    Files.createSymbolicLink(directory.resolve("tokenizer.json"), Path.of(target));

    assertThatExceptionOfType(TokenizerException.class)
        .isThrownBy(() -> Tokenizer.open(directory))
        .withMessageStartingWith(directory.resolve("tokenizer.json") + ": ");
  }

  @ParameterizedTest
  @ValueSource(strings = {"NaN", "-Infinity", "1e99999999999", "99999999999999999999", "0.5"})
  void shouldRefuseAnIdThatIsNoWholeNumber(final String id, @TempDir final Path directory)
      throws IOException {
    write(directory, "{\"model\": {\"vocab\": {\"a\": %s}}}".formatted(id));

    assertThatExceptionOfType(TokenizerException.class)
        .isThrownBy(() -> Tokenizer.open(directory))
        .withMessageStartingWith(directory.resolve("tokenizer.json") + ": ");
  }

  @Test
  void shouldWorkWithoutAHomeDirectoryAndLeaveNothingBehind(@TempDir final Path directory)
      throws Exception {
    // given
    final Path noDirectory = Files.createFile(directory.resolve("home"));
    final Path temporary = Files.createDirectory(directory.resolve("tmp"));
    final ProcessBuilder child =
        new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--enable-native-access=ALL-UNNAMED",
            "-Duser.home=" + noDirectory,
            "-Djava.io.tmpdir=" + temporary,
            "-XX:-UsePerfData",
            "-cp",
            System.getProperty("java.class.path"),
            TokenizeOnce.class.getName(),
            Storyteller.DIRECTORY.toString());
    child
        .environment()
        .keySet()
        .removeAll(List.of("RUST_FLAVOR", "DJL_CACHE_DIR", "ENGINE_CACHE_DIR"));

    // when
    final Process process = child.redirectErrorStream(true).start();
    final String output =
        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

    // then
    assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
    assertThat(output).contains("Once upon a time, settings: null null");
    assertThat(process.exitValue()).isZero();
    assertThat(temporary).isEmptyDirectory();
  }

  /** Opens a tokenizer in a fresh JVM. */
  static final class TokenizeOnce {
    public static void main(final String[] arguments) {
      try (Tokenizer tokenizer = Tokenizer.open(Path.of(arguments[0]))) {
        System.out.printf(
            "%s, settings: %s %s%n",
            tokenizer.decode(tokenizer.encode("Once upon a time")),
            System.getProperty("RUST_FLAVOR"),
            System.getProperty("ENGINE_CACHE_DIR"));
      }
    }
  }

  private static String storyteller() throws IOException {
    return Files.readString(Storyteller.DIRECTORY.resolve("tokenizer.json"));
  }

  private static void write(final Path directory, final String json) throws IOException {
    Files.writeString(directory.resolve("tokenizer.json"), json);
  }

  private static int[] ids(final JsonNode ids) {
    return IntStream.range(0, ids.size()).map(i -> ids.get(i).intValue()).toArray();
  }
}
