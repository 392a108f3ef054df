package dev.sarathi.runtime.benchmark;

import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.sarathi.runtime.model.DataType;
import dev.sarathi.runtime.model.Model;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * A folder in Hugging Face's layout with random bfloat16 weights, the same everywhere: what a model
 * of a shape costs can be measured without the model. Its tokenizer has a token for each byte and
 * fills up the vocabulary with tokens that no text needs.
 */
public final class SyntheticModel {
  private static final String WEIGHTS = "model.safetensors";
  private static final int POSITIONS = 8192;
  private static final int CHUNK = 4 << 20;
  private static final JsonMapper MAPPER = new JsonMapper();

  /** Four numbers of random sign and fraction, all between 1/64 and 1/32 or their negatives. */
  private static final long RANDOM_BITS = 0x807F_807F_807F_807FL;

  private static final long EXPONENTS = 0x3C80_3C80_3C80_3C80L;
  private static final short ONE = 0x3F80;

  private record Tensor(String name, List<Integer> shape, long begin) {
    long bytes() {
      return 2 * shape.stream().mapToLong(Integer::longValue).reduce(1, (a, b) -> a * b);
    }

    long end() {
      return begin + bytes();
    }
  }

  private final Shape shape;
  private final List<Tensor> tensors = new ArrayList<>();

  private SyntheticModel(final Shape shape) {
    this.shape = shape;
    final int queries = shape.heads() * shape.headDim();
    final int keys = shape.kvHeads() * shape.headDim();
    add("model.embed_tokens", shape.vocabulary(), shape.hidden());
    for (int i = 0; i < shape.layers(); i++) {
      final String layer = "model.layers." + i;
      add(layer + ".input_layernorm", shape.hidden());
      add(layer + ".self_attn.q_proj", queries, shape.hidden());
      add(layer + ".self_attn.k_proj", keys, shape.hidden());
      add(layer + ".self_attn.v_proj", keys, shape.hidden());
      add(layer + ".self_attn.o_proj", shape.hidden(), queries);
      add(layer + ".post_attention_layernorm", shape.hidden());
      add(layer + ".mlp.gate_proj", shape.intermediate(), shape.hidden());
      add(layer + ".mlp.up_proj", shape.intermediate(), shape.hidden());
      add(layer + ".mlp.down_proj", shape.hidden(), shape.intermediate());
    }
    add("model.norm", shape.hidden());
    if (!shape.tied()) {
      add("lm_head", shape.vocabulary(), shape.hidden());
    }
  }

  private void add(final String name, final Integer... sizes) {
    tensors.add(new Tensor(name + ".weight", List.of(sizes), bytes()));
  }

  private long bytes() {
    return tensors.isEmpty() ? 0 : tensors.getLast().end();
  }

  /**
   * The model's folder, which is written unless it is there.
   *
   * @param cache holds a folder for each shape
   */
  public static Path in(final Path cache, final Shape shape) throws IOException {
    final Path folder = cache.toAbsolutePath().resolve(shape.name());
    if (Files.exists(folder)) {
      return folder;
    }
    Files.createDirectories(cache);
    final Path draft = Files.createTempDirectory(cache.toAbsolutePath(), shape.name() + ".");
    new SyntheticModel(shape).write(draft);
    return Files.move(draft, folder, StandardCopyOption.ATOMIC_MOVE);
  }

  /**
   * The same model in memory, for shapes of which a file would be too large. Its weights overlap:
   * each is a part of random numbers that are as many as the largest has.
   */
  public static Model inMemory(final Shape shape) throws IOException {
    final SyntheticModel model = new SyntheticModel(shape);
    final long largest = model.tensors.stream().mapToLong(Tensor::bytes).max().orElseThrow();
    final int chunks = Math.toIntExact(Math.ceilDiv(largest, CHUNK) + 1);
    final MemorySegment numbers = Arena.ofAuto().allocate((long) chunks * CHUNK, Long.BYTES);
    IntStream.range(0, chunks)
        .parallel()
        .forEach(
            chunk ->
                numbers
                    .asSlice((long) chunk * CHUNK)
                    .copyFrom(MemorySegment.ofBuffer(random(chunk, CHUNK))));
    final MemorySegment ones = MemorySegment.ofBuffer(ones(shape.hidden()));
    final Map<String, dev.sarathi.runtime.model.Tensor> tensors = new HashMap<>();
    for (final Tensor tensor : model.tensors) {
      tensors.put(
          tensor.name,
          new dev.sarathi.runtime.model.Tensor(
              tensor.name,
              DataType.BF16,
              tensor.shape.stream().map(Integer::longValue).toList(),
              tensor.shape.size() == 1
                  ? ones
                  : numbers.asSlice(tensor.begin % CHUNK & -Long.BYTES, tensor.bytes())));
    }
    final Path folder = Files.createTempDirectory(shape.name() + ".");
    final Path config = folder.resolve("config.json");
    try {
      MAPPER.writeValue(config.toFile(), model.config());
      return Model.of(folder, tensors);
    } finally {
      Files.deleteIfExists(config);
      Files.delete(folder);
    }
  }

  private void write(final Path folder) throws IOException {
    MAPPER.writeValue(folder.resolve("config.json").toFile(), config());
    MAPPER.writeValue(folder.resolve("tokenizer.json").toFile(), tokenizer());
    MAPPER.writeValue(folder.resolve("tokenizer_config.json").toFile(), Map.of());
    try (FileChannel file =
        FileChannel.open(
            folder.resolve(WEIGHTS), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      final ByteBuffer header = header();
      final long data = header.remaining();
      write(file, header, 0);
      LongStream.range(0, Math.ceilDiv(bytes(), CHUNK))
          .parallel()
          .forEach(i -> write(file, random(i), data + i * CHUNK));
      tensors.stream()
          .filter(tensor -> tensor.shape.size() == 1)
          .forEach(norm -> write(file, ones(norm.shape.getFirst()), data + norm.begin));
    }
  }

  private static void write(final FileChannel file, final ByteBuffer bytes, final long position) {
    try {
      long at = position;
      while (bytes.hasRemaining()) {
        at += file.write(bytes, at);
      }
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private ByteBuffer header() throws IOException {
    final Map<String, Object> entries = new LinkedHashMap<>();
    for (final Tensor tensor : tensors) {
      entries.put(
          tensor.name,
          Map.of(
              "dtype",
              "BF16",
              "shape",
              tensor.shape,
              "data_offsets",
              List.of(tensor.begin, tensor.end())));
    }
    final byte[] json = MAPPER.writeValueAsBytes(entries);
    // Blanks after the header let the data begin on a cache line.
    final int length = Math.ceilDiv(json.length + Long.BYTES, 64) * 64 - Long.BYTES;
    final ByteBuffer header = buffer(Long.BYTES + length).putLong(length).put(json);
    while (header.hasRemaining()) {
      header.put((byte) ' ');
    }
    return header.flip();
  }

  /** SplitMix64, begun anew for each chunk so that they can be made side by side. */
  private ByteBuffer random(final long chunk) {
    return random(chunk, (int) Math.min(CHUNK, bytes() - chunk * CHUNK));
  }

  private static ByteBuffer random(final long chunk, final int length) {
    final ByteBuffer buffer = buffer(Math.ceilDiv(length, Long.BYTES) * Long.BYTES);
    long state = chunk * CHUNK;
    while (buffer.hasRemaining()) {
      state += 0x9E3779B97F4A7C15L;
      long bits = (state ^ state >>> 30) * 0xBF58476D1CE4E5B9L;
      bits = (bits ^ bits >>> 27) * 0x94D049BB133111EBL;
      buffer.putLong((bits ^ bits >>> 31) & RANDOM_BITS | EXPONENTS);
    }
    return buffer.flip().limit(length);
  }

  private static ByteBuffer ones(final int count) {
    final ByteBuffer buffer = buffer(2 * count);
    while (buffer.hasRemaining()) {
      buffer.putShort(ONE);
    }
    return buffer.flip();
  }

  private static ByteBuffer buffer(final int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private Map<String, Object> config() {
    final Map<String, Object> config = new LinkedHashMap<>();
    config.put("architectures", List.of("LlamaForCausalLM"));
    config.put("model_type", "llama");
    config.put("torch_dtype", "bfloat16");
    config.put("hidden_act", "silu");
    config.put("vocab_size", shape.vocabulary());
    config.put("hidden_size", shape.hidden());
    config.put("intermediate_size", shape.intermediate());
    config.put("num_hidden_layers", shape.layers());
    config.put("num_attention_heads", shape.heads());
    config.put("num_key_value_heads", shape.kvHeads());
    config.put("head_dim", shape.headDim());
    config.put("max_position_embeddings", POSITIONS);
    config.put("rms_norm_eps", 1e-5);
    config.put("rope_theta", 10_000.0);
    config.put("tie_word_embeddings", shape.tied());
    config.put("bos_token_id", 1);
    config.put("eos_token_id", 2);
    return config;
  }

  private Map<String, Object> tokenizer() {
    final Map<String, Integer> vocabulary = new LinkedHashMap<>();
    final List<Map<String, Object>> special = new ArrayList<>();
    for (final String name : List.of("<unk>", "<s>", "</s>")) {
      final int id = vocabulary.size();
      vocabulary.put(name, id);
      special.add(
          Map.of(
              "id", id,
              "content", name,
              "special", true,
              "single_word", false,
              "lstrip", false,
              "rstrip", false,
              "normalized", false));
    }
    for (int value = 0, unprintable = 0; value < 256; value++) {
      final boolean printable =
          value > ' ' && value < 0x7F || value > 0xA0 && value != 0xAD && value < 0x100;
      final int letter = printable ? value : 0x100 + unprintable++;
      vocabulary.put(Character.toString(letter), vocabulary.size());
    }
    while (vocabulary.size() < shape.vocabulary()) {
      vocabulary.put("token" + vocabulary.size(), vocabulary.size());
    }
    final Map<String, Object> bytes =
        Map.of(
            "type", "ByteLevel",
            "add_prefix_space", false,
            "trim_offsets", true,
            "use_regex", false);
    return Map.of(
        "version", "1.0",
        "added_tokens", special,
        "pre_tokenizer", bytes,
        "decoder", bytes,
        "model", Map.of("type", "BPE", "vocab", vocabulary, "merges", List.of()));
  }

  /** The folder {@code sarathi/models} of the user's cache, as the XDG specification places it. */
  public static Path defaultCache() {
    final String given = System.getenv("XDG_CACHE_HOME");
    final Path caches =
        given == null || given.isEmpty()
            ? Path.of(System.getProperty("user.home"), ".cache")
            : Path.of(given);
    return caches.resolve("sarathi").resolve("models");
  }
}
