package dev.sarathi.runtime.benchmark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.sarathi.runtime.model.Model;
import dev.sarathi.runtime.model.Tensor;
import dev.sarathi.runtime.text.Tokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SyntheticModelTest {
  private static final Shape STORYTELLER = Shape.named("storyteller");
  private static final Shape UNTIED = new Shape("untied", 300, 64, 96, 2, 4, 2, 16, false);

  @Test
  void shouldWriteAModelOfTheShape(@TempDir final Path cache) throws Exception {
    final Path folder = SyntheticModel.in(cache, UNTIED);

    try (Model model = Model.open(folder)) {
      assertThat(model.config().hiddenSize()).isEqualTo(64);
      assertThat(model.config().layers()).isEqualTo(2);
      assertThat(model.config().kvHeads()).isEqualTo(2);
      assertThat(model.weights().head().shape()).containsExactly(300L, 64L);
      assertThat(model.weights().head()).isNotEqualTo(model.weights().embedding());
      assertThat(model.weights().finalNorm().weight().toFloats()).containsOnly(1f);
    }
  }

  @Test
  void shouldDrawWeightsOfBothSignsAndNoneTwiceInARow(@TempDir final Path cache) throws Exception {
    try (Model model = Model.open(SyntheticModel.in(cache, UNTIED))) {
      final Tensor weight = model.weights().layers().getLast().output().weight();
      final float[] values = weight.toFloats();

      int negative = 0;
      for (final float value : values) {
        assertThat(Math.abs(value)).isBetween(1f / 64, 1f / 32);
        negative += value < 0 ? 1 : 0;
      }
      assertThat(negative).isBetween(values.length * 45 / 100, values.length * 55 / 100);
      assertThat(Arrays.copyOfRange(values, 0, 64))
          .isNotEqualTo(Arrays.copyOfRange(values, 64, 128));
    }
  }

  @Test
  void shouldHaveTheSameShapeInMemoryAndLeaveNoFile() throws Exception {
    try (Model model = SyntheticModel.inMemory(UNTIED)) {
      assertThat(model.directory()).doesNotExist();
      assertThat(model.config().layers()).isEqualTo(2);
      assertThat(model.weights().finalNorm().weight().toFloats()).containsOnly(1f);
      final float[] first = model.weights().layers().getFirst().output().weight().toFloats();
      final float[] last = model.weights().layers().getLast().output().weight().toFloats();
      assertThat(first).hasSize(64 * 64).isNotEqualTo(last);
      for (final float value : last) {
        assertThat(Math.abs(value)).isBetween(1f / 64, 1f / 32);
      }
    }
  }

  @Test
  void shouldGiveTheSameFilesEverywhere(@TempDir final Path here, @TempDir final Path there)
      throws Exception {
    final Path one = SyntheticModel.in(here, STORYTELLER);
    final Path other = SyntheticModel.in(there, STORYTELLER);

    for (final String file : new String[] {"model.safetensors", "config.json", "tokenizer.json"}) {
      assertThat(Files.mismatch(one.resolve(file), other.resolve(file))).as(file).isEqualTo(-1);
    }
  }

  @Test
  void shouldTakeTheFolderThatIsThereAndLeaveNoOther(@TempDir final Path cache) throws Exception {
    final Path weights = SyntheticModel.in(cache, STORYTELLER).resolve("model.safetensors");
    final FileTime past = FileTime.from(Instant.ofEpochSecond(1_000));
    Files.setLastModifiedTime(weights, past);

    SyntheticModel.in(cache, STORYTELLER);

    assertThat(Files.getLastModifiedTime(weights)).isEqualTo(past);
    assertThat(cache).isDirectoryContaining("glob:**/storyteller").isNotEmptyDirectory();
    assertThat(cache.toFile().list()).containsExactly("storyteller");
  }

  @Test
  void shouldHaveATokenForEachByte(@TempDir final Path cache) throws Exception {
    try (Tokenizer tokenizer = Tokenizer.open(SyntheticModel.in(cache, STORYTELLER))) {
      final int[] ids = tokenizer.encode("a ü\n", false);

      assertThat(ids).hasSize(5).doesNotHaveDuplicates();
      assertThat(tokenizer.decode(ids)).isEqualTo("a ü\n");
    }
  }

  @Test
  void shouldRefuseAnUnknownShape() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Shape.named("gpt-2"))
        .withMessageContaining("shape is gpt-2; valid is llama-2-7b, llama-3-8b, tinyllama-1.1b");
  }
}
