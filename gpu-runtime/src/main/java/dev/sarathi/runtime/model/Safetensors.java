package dev.sarathi.runtime.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The weights of a model, memory-mapped: {@code model.safetensors}, or the shards that {@code
 * model.safetensors.index.json} lists. A file is eight bytes of header length, a JSON header that
 * gives each tensor's type, shape and byte range, and the data.
 *
 * <p>Every number in a header is checked before it is used; nothing is allocated by a length that
 * the file only claims.
 *
 * <p>Threading: reading is safe from any thread until {@link #close()}.
 */
final class Safetensors implements AutoCloseable {
  private static final String SINGLE = "model.safetensors";
  private static final String INDEX = "model.safetensors.index.json";
  private static final ValueLayout.OfLong LENGTH =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Path directory;
  private final Arena arena = Arena.ofShared();
  private final Map<String, Mapped> files = new TreeMap<>();
  private final Map<String, Tensor> tensors = new HashMap<>();

  /**
   * A file's bytes.
   *
   * @param opened its state before it was opened
   */
  record Mapped(MemorySegment bytes, Optional<FileState> opened) {}

  private Safetensors(final Path directory) {
    this.directory = directory;
  }

  /**
   * Maps the files and checks their headers.
   *
   * @throws ModelFormatException naming the file and the tensor or offset
   */
  static Safetensors open(final Path directory) {
    final Safetensors safetensors = new Safetensors(directory);
    try {
      safetensors.load();
      return safetensors;
    } catch (RuntimeException e) {
      safetensors.close();
      throw e;
    }
  }

  /** Tensors without a file. */
  static Safetensors of(final Path directory, final Map<String, Tensor> tensors) {
    final Safetensors safetensors = new Safetensors(directory);
    safetensors.tensors.putAll(tensors);
    return safetensors;
  }

  /** The files by their names, in order of these. */
  Map<String, Mapped> files() {
    return files;
  }

  Map<String, Tensor> tensors() {
    return tensors;
  }

  /** The tensor of this name, which must have this shape. */
  Tensor require(final String name, final long... shape) {
    final Tensor tensor = tensors.get(name);
    if (tensor == null) {
      throw new ModelFormatException(directory, "no tensor " + name + " in " + files.keySet());
    }
    final List<Long> expected = Arrays.stream(shape).boxed().toList();
    if (!tensor.shape().equals(expected)) {
      throw new ModelFormatException(
          directory,
          "tensor " + name + " has shape " + tensor.shape() + "; config.json makes it " + expected);
    }
    return tensor;
  }

  @Override
  public void close() {
    arena.close();
  }

  private void load() {
    if (RegularFile.isThere(directory.resolve(SINGLE))) {
      map(SINGLE);
      return;
    }
    final Path index = directory.resolve(INDEX);
    if (!RegularFile.isThere(index)) {
      throw new ModelFormatException(directory, "neither " + SINGLE + " nor " + INDEX);
    }
    final JsonNode weightMap = Json.read(index).path("weight_map");
    if (!weightMap.isObject() || weightMap.isEmpty()) {
      throw new ModelFormatException(index, "weight_map is not an object that names the shards");
    }
    for (Map.Entry<String, JsonNode> entry : weightMap.properties()) {
      final String shard = shardName(index, entry.getKey(), entry.getValue());
      if (!files.containsKey(shard)) {
        map(shard);
      }
      if (!tensors.containsKey(entry.getKey())) {
        throw new ModelFormatException(
            index, "tensor " + entry.getKey() + " is not in its shard " + shard);
      }
    }
  }

  /** Only a plain name: a path could lead out of the model's directory. */
  private static String shardName(final Path index, final String tensor, final JsonNode value) {
    final String name = value.asText();
    if (!value.isTextual() || !name.matches("[A-Za-z0-9_-][A-Za-z0-9._-]*\\.safetensors")) {
      throw new ModelFormatException(
          index, "shard of tensor " + tensor + " is " + value + "; supported: a plain file name");
    }
    return name;
  }

  private void map(final String name) {
    final Path file = directory.resolve(name);
    final Optional<FileState> opened = FileState.of(file);
    final long size = RegularFile.size(file);
    MemorySegment bytes;
    try (FileChannel channel = FileChannel.open(file)) {
      bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, size, arena);
    } catch (IOException e) {
      throw new ModelFormatException(file, "cannot be mapped: " + e, e);
    }
    files.put(name, new Mapped(bytes, opened));
    if (bytes.byteSize() < 8) {
      throw new ModelFormatException(
          file, bytes.byteSize() + " bytes; the header's length alone takes 8");
    }
    final long length = bytes.get(LENGTH, 0);
    if (length < 2 || length > Json.MAX_BYTES || length > bytes.byteSize() - 8) {
      throw new ModelFormatException(
          file,
          "header length at offset 0 is "
              + Long.toUnsignedString(length)
              + "; supported: 2 to "
              + Math.min(Json.MAX_BYTES, bytes.byteSize() - 8));
    }
    final ObjectNode header =
        Json.parse(file, bytes.asSlice(8, length).toArray(ValueLayout.JAVA_BYTE));
    readTensors(file, header, bytes.asSlice(8 + length));
  }

  private record Range(String tensor, long begin, long end) {}

  private void readTensors(final Path file, final ObjectNode header, final MemorySegment data) {
    final List<Range> ranges = new ArrayList<>();
    for (Map.Entry<String, JsonNode> entry : header.properties()) {
      final String name = entry.getKey();
      if (name.equals("__metadata__")) {
        continue;
      }
      final DataType type = dataType(file, name, entry.getValue().path("dtype"));
      final List<Long> shape = shape(file, name, entry.getValue().path("shape"));
      final Range range = range(file, name, entry.getValue().path("data_offsets"), data.byteSize());
      checkLength(file, type, shape, range);
      ranges.add(range);
      final MemorySegment slice = data.asSlice(range.begin(), range.end() - range.begin());
      if (tensors.put(name, new Tensor(name, type, shape, slice)) != null) {
        throw new ModelFormatException(file, "tensor " + name + " is in another shard too");
      }
    }
    checkCover(file, ranges, data.byteSize());
  }

  private static DataType dataType(final Path file, final String name, final JsonNode value) {
    return Arrays.stream(DataType.values())
        .filter(type -> type.name().equals(value.asText()))
        .findFirst()
        .orElseThrow(
            () ->
                new ModelFormatException(
                    file,
                    "tensor "
                        + name
                        + " has dtype "
                        + value
                        + "; supported: "
                        + Arrays.toString(DataType.values())));
  }

  private static List<Long> shape(final Path file, final String name, final JsonNode value) {
    final List<Long> shape = new ArrayList<>();
    for (JsonNode size : value) {
      if (!size.isIntegralNumber() || !size.canConvertToLong() || size.asLong() < 0) {
        throw new ModelFormatException(file, "tensor " + name + " has shape " + value);
      }
      shape.add(size.asLong());
    }
    if (!value.isArray()) {
      throw new ModelFormatException(file, "tensor " + name + " has shape " + value);
    }
    return shape;
  }

  private static Range range(
      final Path file, final String name, final JsonNode value, final long dataBytes) {
    final boolean pair =
        value.isArray()
            && value.size() == 2
            && value.get(0).isIntegralNumber()
            && value.get(0).canConvertToLong()
            && value.get(1).isIntegralNumber()
            && value.get(1).canConvertToLong();
    if (pair) {
      final Range range = new Range(name, value.get(0).asLong(), value.get(1).asLong());
      if (range.begin() >= 0 && range.begin() <= range.end() && range.end() <= dataBytes) {
        return range;
      }
    }
    throw new ModelFormatException(
        file,
        "tensor " + name + " has data_offsets " + value + "; the data is " + dataBytes + " bytes");
  }

  private static void checkLength(
      final Path file, final DataType type, final List<Long> shape, final Range range) {
    long bytes = type.bytes();
    try {
      for (long size : shape) {
        bytes = Math.multiplyExact(bytes, size);
      }
    } catch (ArithmeticException e) {
      throw new ModelFormatException(
          file, "tensor " + range.tensor() + " has shape " + shape + ": too large", e);
    }
    if (bytes != range.end() - range.begin()) {
      throw new ModelFormatException(
          file,
          "tensor "
              + range.tensor()
              + " has "
              + (range.end() - range.begin())
              + " bytes at offset "
              + range.begin()
              + "; "
              + type
              + shape
              + " takes "
              + bytes);
    }
    if (range.begin() % type.bytes() != 0) {
      throw new ModelFormatException(
          file,
          "tensor "
              + range.tensor()
              + " begins at offset "
              + range.begin()
              + ", which is not a multiple of "
              + type.bytes());
    }
  }

  /** As the format demands: the tensors fill the data without overlap, hole or rest. */
  private static void checkCover(final Path file, final List<Range> ranges, final long dataBytes) {
    ranges.sort(Comparator.comparingLong(Range::begin).thenComparingLong(Range::end));
    long end = 0;
    for (Range range : ranges) {
      if (range.begin() != end) {
        throw new ModelFormatException(
            file,
            "tensor "
                + range.tensor()
                + " begins at offset "
                + range.begin()
                + (range.begin() < end ? ", inside its predecessor, " : ", after a hole; ")
                + "which ends at "
                + end);
      }
      end = range.end();
    }
    if (end != dataBytes) {
      throw new ModelFormatException(
          file, "the last tensor ends at offset " + end + " of " + dataBytes + " bytes of data");
    }
  }
}
