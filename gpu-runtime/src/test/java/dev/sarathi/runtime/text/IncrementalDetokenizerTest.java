package dev.sarathi.runtime.text;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class IncrementalDetokenizerTest {
  private static final Tokenizer TOKENIZER = Storyteller.TOKENIZER;

  /** The layout of Llama 2: a space is U+2581, unknown characters are spelled in byte tokens. */
  private static final String BYTE_FALLBACK =
      """
      {"version": "1.0", "added_tokens": [],
       "normalizer": {"type": "Sequence", "normalizers": [
         {"type": "Prepend", "prepend": "▁"},
         {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
       "pre_tokenizer": null, "post_processor": null,
       "decoder": {"type": "Sequence", "decoders": [
         {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
         {"type": "ByteFallback"}, {"type": "Fuse"},
         {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
       "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "fuse_unk": true,
         "continuing_subword_prefix": null, "end_of_word_suffix": null, "byte_fallback": true,
         "vocab": {"<unk>": 0, "a": 1, "b": 2, "▁": 3, "<0xC3>": 4, "<0xA9>": 5,
           "<0xF0>": 6, "<0x9F>": 7, "<0x98>": 8, "<0x80>": 9},
         "merges": []}}
      """;

  @Test
  void shouldGiveOutACharacterWithItsLastToken() {
    // given
    final int[] ids = TOKENIZER.encode("é日😀", false);
    assertThat(ids).hasSize(9);

    // then
    assertThat(increments(new IncrementalDetokenizer(TOKENIZER), ids))
        .containsExactly("", "é", "", "", "日", "", "", "", "😀", "");
  }

  @Test
  void shouldGiveOutAWordAtOnce() {
    final int[] ids = TOKENIZER.encode(" there was a fox", false);

    assertThat(String.join("|", increments(new IncrementalDetokenizer(TOKENIZER), ids)))
        .isEqualTo(" there| was| a| fox|");
  }

  @Test
  void shouldLeaveOutSpecialTokensAndIdsOutsideTheVocabulary() {
    final int[] ids = {1, 774, 2, 1_000_000, -1, 741};

    assertThat(increments(new IncrementalDetokenizer(TOKENIZER), ids))
        .containsExactly("", TOKENIZER.decode(774), "", "", "", TOKENIZER.decode(741), "");
  }

  @Test
  void shouldFlushAnUnfinishedCharacterAtTheEnd() {
    final int[] emoji = TOKENIZER.encode("a😀", false);

    assertThat(increments(new IncrementalDetokenizer(TOKENIZER), Arrays.copyOf(emoji, 3)))
        .containsExactly("a", "", "", "\uFFFD");
  }

  @Test
  void shouldFinishACharacterThatThePromptBegan() {
    final int[] ids = TOKENIZER.encode("the 😀!", false);
    final int split = ids.length - 3;

    assertThat(
            increments(
                new IncrementalDetokenizer(TOKENIZER, Arrays.copyOf(ids, split)),
                Arrays.copyOfRange(ids, split, ids.length)))
        .containsExactly("", "😀", "!", "");
  }

  @Test
  void shouldNotHoldBackBytesThatNothingCanComplete() {
    // given
    final int continuation = TOKENIZER.encode("é", false)[1];
    final int[] ids = IntStream.generate(() -> continuation).limit(10_000).toArray();

    // when
    final List<String> increments = increments(new IncrementalDetokenizer(TOKENIZER), ids);

    // then
    assertThat(increments.subList(3, ids.length)).containsOnly("\uFFFD");
    assertThat(String.join("", increments)).isEqualTo("\uFFFD".repeat(ids.length));
  }

  @Property(tries = 500)
  void shouldEqualTheWholeText(@ForAll final String text) {
    final int[] ids = TOKENIZER.encode(text, false);

    final List<String> increments = increments(new IncrementalDetokenizer(TOKENIZER), ids);

    assertThat(String.join("", increments)).isEqualTo(TOKENIZER.decode(ids));
    assertThat(increments.stream().filter(increment -> increment.contains("\uFFFD")).count())
        .isLessThanOrEqualTo(count(TOKENIZER.decode(ids)));
    assertThat(increments).allMatch(IncrementalDetokenizerTest::isWellFormed);
  }

  @Property(tries = 500)
  void shouldEqualTheWholeTextOfAnyTokens(
      @ForAll @Size(max = 200) final List<@IntRange(min = 0, max = 1100) Integer> tokens) {
    final int[] ids = tokens.stream().mapToInt(Integer::intValue).toArray();

    assertThat(String.join("", increments(new IncrementalDetokenizer(TOKENIZER), ids)))
        .isEqualTo(TOKENIZER.decode(ids));
  }

  @Property(tries = 500)
  void shouldEqualTheWholeTextOfAnyBytes(@ForAll("byteTokens") final List<Integer> tokens) {
    final int[] ids = tokens.stream().mapToInt(Integer::intValue).toArray();

    assertThat(String.join("", increments(new IncrementalDetokenizer(TOKENIZER), ids)))
        .isEqualTo(TOKENIZER.decode(ids));
  }

  @Property(tries = 500)
  void shouldContinueFromAnyCut(
      @ForAll("byteTokens") final List<Integer> tokens,
      @ForAll @IntRange(max = 300) final int cut) {
    // given
    final int[] ids = tokens.stream().mapToInt(Integer::intValue).toArray();
    final int from = Math.min(cut, ids.length);
    final List<String> uninterrupted =
        increments(new IncrementalDetokenizer(TOKENIZER, 774, 741), ids);

    // when
    final IncrementalDetokenizer resumed = new IncrementalDetokenizer(TOKENIZER, 774, 741);
    for (int i = 0; i < from; i++) {
      resumed.push(ids[i]);
    }

    // then
    assertThat(increments(resumed, Arrays.copyOfRange(ids, from, ids.length)))
        .isEqualTo(uninterrupted.subList(from, uninterrupted.size()));
  }

  @Test
  void shouldWorkWithByteFallbackAndAStrippedSpace(@TempDir final Path directory)
      throws IOException {
    // given
    Files.writeString(directory.resolve("tokenizer.json"), BYTE_FALLBACK);
    try (Tokenizer tokenizer = Tokenizer.open(directory)) {
      final int[] ids = tokenizer.encode("ab é😀a", false);

      // then
      assertThat(ids).hasSize(11);
      assertThat(increments(new IncrementalDetokenizer(tokenizer), ids))
          .containsExactly("", "a", "b", " ", "", "é", "", "", "", "😀", "a", "");
      assertThat(increments(new IncrementalDetokenizer(tokenizer, 1), ids))
          .startsWith(" ", "a", "b");
    }
  }

  @Test
  void shouldSurviveAStrayByteBetweenCharacters(@TempDir final Path directory) throws IOException {
    // given
    Files.writeString(directory.resolve("tokenizer.json"), BYTE_FALLBACK);
    try (Tokenizer tokenizer = Tokenizer.open(directory)) {
      final int[] ids = {4, 5, 4, 1, 4, 5, 2};

      // then
      assertThat(increments(new IncrementalDetokenizer(tokenizer), ids))
          .containsExactly("", "é", "", "\uFFFDa", "", "é", "b", "");
    }
  }

  @Provide
  Arbitrary<List<Integer>> byteTokens() {
    final int[] bytes = TOKENIZER.encode("aé日😀\n", false);
    return Arbitraries.of(IntStream.of(bytes).boxed().toList()).list().ofMaxSize(200);
  }

  /** What each token gives out, and then the end. */
  private static List<String> increments(
      final IncrementalDetokenizer detokenizer, final int... ids) {
    final List<String> increments = new ArrayList<>();
    for (int id : ids) {
      increments.add(detokenizer.push(id));
    }
    increments.add(detokenizer.finish());
    return increments;
  }

  private static long count(final String text) {
    return text.chars().filter(character -> character == '\uFFFD').count();
  }

  private static boolean isWellFormed(final String text) {
    return text.codePoints()
        .noneMatch(c -> c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE);
  }
}
