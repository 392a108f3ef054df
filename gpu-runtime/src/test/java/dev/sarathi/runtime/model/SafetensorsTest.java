package dev.sarathi.runtime.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafetensorsTest {
  private static final String HEADER =
      "{\"a\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]}}";

  @TempDir private Path directory;
  private Path file;

  @BeforeEach
  void name() {
    file = directory.resolve("model.safetensors");
  }

  @Test
  void shouldReadEveryDataType() throws IOException {
    // given
    final ByteBuffer data = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
    data.putFloat(1.5f).putFloat(-2).putShort((short) 0x3FC0).putShort((short) 0xC000);
    data.putShort(Float.floatToFloat16(1.5f)).putShort(Float.floatToFloat16(-2));
    write(
        file,
        """
        {"__metadata__": {"format": "pt"},
         "f32": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
         "bf16": {"dtype": "BF16", "shape": [2, 1], "data_offsets": [8, 12]},
         "f16": {"dtype": "F16", "shape": [1, 2], "data_offsets": [12, 16]},
         "none": {"dtype": "F16", "shape": [0, 2], "data_offsets": [16, 16]}}
        """,
        data.array());

    // when
    try (Safetensors tensors = Safetensors.open(directory)) {
      // then
      assertThat(tensors.require("f32", 2).toFloats()).containsExactly(1.5f, -2);
      assertThat(tensors.require("bf16", 2, 1).toFloats()).containsExactly(1.5f, -2);
      assertThat(tensors.require("f16", 1, 2).toFloats()).containsExactly(1.5f, -2);
      assertThat(tensors.tensors()).containsOnlyKeys("f32", "bf16", "f16", "none");
      assertThatThrownBy(() -> tensors.require("f32", 3))
          .hasMessageEndingWith("tensor f32 has shape [2]; config.json makes it [3]");
      assertThatThrownBy(() -> tensors.require("missing", 3))
          .isInstanceOf(ModelFormatException.class)
          .hasMessageContaining("no tensor missing");
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {-1, Long.MIN_VALUE, Long.MAX_VALUE, 0, 1, 100, 99_999_999, 1L << 40})
  void shouldRefuseAHeaderLengthThatTheFileCannotHold(final long length) throws IOException {
    final ByteBuffer bytes = ByteBuffer.allocate(40).order(ByteOrder.LITTLE_ENDIAN);
    Files.write(file, bytes.putLong(length).array());
    assertRefused("header length at offset 0 is " + Long.toUnsignedString(length));
  }

  @Test
  void shouldRefuseAHugeHeaderOfASparseFileBeforeReadingIt() throws IOException {
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.write(new byte[] {0, 0, 0, 0, 1});
      sparse.setLength(1L << 33);
    }
    assertRefused("header length at offset 0 is 4294967296");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 7})
  void shouldRefuseAFileWithoutEvenAHeaderLength(final int size) throws IOException {
    Files.write(file, new byte[size]);
    assertRefused(size + " bytes; the header's length alone takes 8");
  }

  @ParameterizedTest
  @ValueSource(strings = {"[]", "{ ", "null", "\"a\"", "{} {}", "{\"a\": }", "\0\0\0"})
  void shouldRefuseAHeaderThatIsNotOneObject(final String header) throws IOException {
    write(file, header, new byte[0]);
    assertRefused("JSON");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "F64  | [2]       | [0, 16]  | dtype",
        "3    | [2]       | [0, 16]  | dtype",
        "F32  | [5]       | [0, 16]  | takes 20",
        "F32  | [4, 2]    | [0, 16]  | takes 32",
        "F32  | []        | [0, 16]  | takes 4",
        "F32  | [-4]      | [0, 16]  | shape",
        "F32  | [1.5]     | [0, 16]  | shape",
        "F32  | 4         | [0, 16]  | shape",
        "F32  | {}        | [0, 16]  | shape",
        "F32  | [4611686018427387904, 4] | [0, 16] | too large",
        "F32  | [9223372036854775807] | [0, 16] | too large",
        "F32  | [99999999999999999999] | [0, 16] | shape",
        "F32  | [4294967296, 4294967296] | [0, 0] | too large",
        "F32  | [4]       | [0, 17]  | data_offsets",
        "F32  | [4]       | [-16, 0] | data_offsets",
        "F32  | [4]       | [16, 0]  | data_offsets",
        "F32  | [4]       | [0]      | data_offsets",
        "F32  | [4]       | [0, 16, 32] | data_offsets",
        "F32  | [4]       | [0, 16.5] | data_offsets",
        "F32  | [4]       | [0, 18446744073709551616] | data_offsets",
        "F32  | [4]       | null     | data_offsets",
        "F32  | [3]       | [0, 12]  | the last tensor ends at offset 12 of 16",
        "F32  | [3]       | [4, 16]  | after a hole",
        "F32  | [3]       | [2, 14]  | not a multiple of 4",
      })
  void shouldRefuseATensorThatDoesNotFitItsFile(
      final String type, final String shape, final String offsets, final String problem)
      throws IOException {
    write(
        file,
        "{\"bad\": {\"dtype\": \"%s\", \"shape\": %s, \"data_offsets\": %s}}"
            .formatted(type, shape, offsets),
        new byte[16]);
    assertRefused(problem);
  }

  @Test
  void shouldRefuseTensorsThatOverlap() throws IOException {
    write(
        file,
        """
        {"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]},
         "b": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}}
        """,
        new byte[16]);
    assertRefused("tensor b begins at offset 8, inside its predecessor, which ends at 12");
  }

  @Test
  void shouldRefuseANameThatAppearsTwice() throws IOException {
    write(
        file,
        """
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
         "a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}}
        """,
        new byte[16]);
    assertRefused("Duplicate field 'a'");
  }

  @Test
  void shouldSurviveAnyDamageToTheHeader() throws IOException {
    final byte[] good =
        Files.readAllBytes(Path.of("src/test/resources/golden/llama3/model.safetensors"));
    final Random random = new Random(9);
    for (int i = 0; i < 400; i++) {
      final byte[] bad = good.clone();
      for (int flips = 0; flips < 3; flips++) {
        bad[random.nextInt(3000)] ^= (byte) (1 << random.nextInt(8));
      }
      Files.write(file, bad);
      assertThatCode(
              () -> {
                try {
                  Safetensors.open(directory).close();
                } catch (ModelFormatException e) {
                  assertThat(e).hasMessageContaining("model.safetensors");
                }
              })
          .doesNotThrowAnyException();
    }
  }

  @Test
  void shouldRefuseATruncatedFile() throws IOException {
    final byte[] good =
        Files.readAllBytes(Path.of("src/test/resources/golden/llama3/model.safetensors"));
    for (int size : new int[] {4, 8, 100, 2991, 2992, 3000, good.length - 1}) {
      Files.write(file, Arrays.copyOf(good, size));
      assertRefused("model.safetensors");
    }
  }

  @Test
  void shouldRefuseASmallFileCutAnywhere() throws IOException {
    // given
    write(
        file,
        """
        {"a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
         "b": {"dtype": "BF16", "shape": [3], "data_offsets": [8, 14]},
         "c": {"dtype": "F16", "shape": [0], "data_offsets": [14, 14]}}""",
        new byte[14]);
    final byte[] whole = Files.readAllBytes(file);

    // then
    for (int size = 0; size < whole.length; size++) {
      Files.write(file, Arrays.copyOf(whole, size));
      assertRefused("model.safetensors: ");
    }
    Files.write(file, Arrays.copyOf(whole, whole.length + 1));
    assertRefused("the last tensor ends at offset 14 of 15 bytes of data");
  }

  @ParameterizedTest
  @ValueSource(strings = {"UTF-16LE", "UTF-16BE", "UTF-32"})
  void shouldRefuseAHeaderInAnotherEncoding(final String encoding) throws IOException {
    write(file, HEADER.getBytes(Charset.forName(encoding)), new byte[8]);
    assertRefused("model.safetensors: not valid JSON");
  }

  @Test
  void shouldRefuseAHeaderThatIsNotUtf8() throws IOException {
    final byte[] header = HEADER.getBytes(StandardCharsets.UTF_8);
    header[2] = (byte) 0xFF;
    write(file, header, new byte[8]);
    assertRefused("byte 2 of it is not UTF-8");
  }

  @ParameterizedTest
  @ValueSource(strings = {"[", "{\"a\":"})
  void shouldRefuseDeepNesting(final String open) throws IOException {
    write(file, "{\"a\": " + open.repeat(100_000), new byte[0]);
    assertRefused("nesting depth");
    Files.delete(file);
    index(open.repeat(100_000));
    assertRefused("nesting depth");
  }

  @ParameterizedTest
  @ValueSource(strings = {"NaN", "Infinity", "1e999999999", "-1e-999999999"})
  void shouldRefuseNumbersThatAreNone(final String number) throws IOException {
    write(file, HEADER.replace("[2]", "[" + number + "]"), new byte[8]);
    assertRefused("model.safetensors: ");
    write(file, HEADER.replace("8]", number + "]"), new byte[8]);
    assertRefused("model.safetensors: ");
  }

  @Test
  void shouldRefuseANumberOfManyDigits() throws IOException {
    write(file, HEADER.replace("[2]", "[" + "9".repeat(100_000) + "]"), new byte[8]);
    assertRefused("Number value length (100000) exceeds the maximum");
  }

  @ParameterizedTest
  @CsvSource({
    "model.safetensors, /dev/zero, not a regular file",
    "model.safetensors, /, not a regular file",
    "model.safetensors, model.safetensors, cannot be read",
    "model.safetensors, nowhere, no such file",
    "model.safetensors.index.json, /dev/zero, not a regular file",
    "model.safetensors.index.json, /, not a regular file",
    "model.safetensors.index.json, model.safetensors.index.json, cannot be read",
  })
  void shouldRefuseWhatIsNoFile(final String name, final String target, final String problem)
      throws IOException {
    Files.createSymbolicLink(directory.resolve(name), Path.of(target));
    assertRefused(name + ": " + problem);
  }

  @Test
  void shouldTakeAShardByALink() throws IOException {
    // As Hugging Face's cache lays models out.
    final Path blobs = Files.createDirectory(directory.resolve("blobs"));
    shard("blobs/one.safetensors", "a");
    Files.createSymbolicLink(file, blobs.resolve("one.safetensors"));
    try (Safetensors tensors = Safetensors.open(directory)) {
      assertThat(tensors.tensors()).containsOnlyKeys("a");
    }
  }

  @Test
  void shouldRefuseAHugeIndexBeforeReadingIt() throws IOException {
    try (RandomAccessFile sparse =
        new RandomAccessFile(directory.resolve("model.safetensors.index.json").toFile(), "rw")) {
      sparse.setLength(1L << 33);
    }
    assertRefused("8589934592 bytes; a JSON file of a model has at most 33554432");
  }

  @Test
  void shouldJoinShards() throws IOException {
    shard("one.safetensors", "a");
    shard("two.safetensors", "b");
    index("{\"a\": \"one.safetensors\", \"b\": \"two.safetensors\"}");
    try (Safetensors tensors = Safetensors.open(directory)) {
      assertThat(tensors.tensors()).containsOnlyKeys("a", "b");
      assertThat(tensors.files()).containsOnlyKeys("one.safetensors", "two.safetensors");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../one.safetensors",
        "/etc/passwd",
        "..",
        "a/one.safetensors",
        "a\\\\one.safetensors",
        ".safetensors",
        "one.bin",
        ""
      })
  void shouldRefuseAShardOutsideTheDirectory(final String name) throws IOException {
    shard("one.safetensors", "a");
    index("{\"a\": \"%s\"}".formatted(name));
    assertRefused("supported: a plain file name");
  }

  @Test
  void shouldRefuseAnIndexThatItsShardsDoNotBearOut() throws IOException {
    shard("one.safetensors", "a");
    index("{\"a\": \"one.safetensors\", \"b\": \"two.safetensors\"}");
    assertRefused("two.safetensors: no such file");
    index("{\"a\": \"one.safetensors\", \"b\": \"one.safetensors\"}");
    assertRefused("tensor b is not in its shard one.safetensors");
    shard("two.safetensors", "a");
    index("{\"a\": \"one.safetensors\", \"b\": \"two.safetensors\"}");
    assertRefused("tensor a is in another shard too");
    index("{}");
    assertRefused("weight_map");
    index("{\"a\": 3}");
    assertRefused("shard of tensor a is 3");
  }

  @Test
  void shouldRefuseADirectoryWithoutWeights() {
    assertRefused("neither model.safetensors nor model.safetensors.index.json");
  }

  private void assertRefused(final String problem) {
    assertThatThrownBy(() -> Safetensors.open(directory))
        .isInstanceOf(ModelFormatException.class)
        .hasMessageContaining(problem)
        .hasMessageContaining(directory.toString());
  }

  private void shard(final String name, final String tensor) throws IOException {
    write(
        directory.resolve(name),
        "{\"%s\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]}}"
            .formatted(tensor),
        new byte[8]);
  }

  private void index(final String weightMap) throws IOException {
    Files.writeString(
        directory.resolve("model.safetensors.index.json"),
        "{\"metadata\": {}, \"weight_map\": " + weightMap + "}");
  }

  private static void write(Path file, String header, byte[] data) throws IOException {
    write(file, header.getBytes(StandardCharsets.UTF_8), data);
  }

  private static void write(Path file, byte[] json, byte[] data) throws IOException {
    final ByteBuffer bytes =
        ByteBuffer.allocate(8 + json.length + data.length).order(ByteOrder.LITTLE_ENDIAN);
    Files.write(file, bytes.putLong(json.length).put(json).put(data).array());
  }
}
