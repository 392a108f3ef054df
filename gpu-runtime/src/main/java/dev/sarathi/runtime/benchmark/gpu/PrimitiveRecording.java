package dev.sarathi.runtime.benchmark.gpu;

import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.sarathi.runtime.execute.cuda.Driver;
import dev.sarathi.runtime.execute.cuda.Primitive;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;

/**
 * The bits that a device made of each instruction, to be kept as a file. Devices of one
 * architecture make the same ones, which is what their common numerics id rests on.
 *
 * @param device its name
 * @param architecture for instance {@code sm_80}
 */
public record PrimitiveRecording(
    String device, String architecture, Map<Primitive, int[]> results) {
  private static final String FOLDER = "primitives";
  private static final JsonMapper MAPPER = new JsonMapper();

  /** As it lies in a file; big-endian words in base 64. */
  private record Stored(String device, String architecture, Map<Primitive, byte[]> results) {}

  static PrimitiveRecording of(final Driver driver) {
    final Map<Primitive, int[]> results = new EnumMap<>(Primitive.class);
    for (final Primitive primitive : Primitive.values()) {
      results.put(primitive, primitive.run(driver));
    }
    return new PrimitiveRecording(driver.device().name(), driver.device().architecture(), results);
  }

  /** What has been recorded of an architecture. */
  static Optional<PrimitiveRecording> of(final Path references, final String architecture) {
    final Path file = references.resolve(FOLDER).resolve(architecture + ".json");
    return Files.exists(file) ? Optional.of(read(file)) : Optional.empty();
  }

  static PrimitiveRecording read(final Path file) {
    try {
      final Stored stored = MAPPER.readValue(file.toFile(), Stored.class);
      final Map<Primitive, int[]> results = new EnumMap<>(Primitive.class);
      stored.results.forEach((primitive, bytes) -> results.put(primitive, words(bytes)));
      return new PrimitiveRecording(stored.device, stored.architecture, results);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Writes {@code ARCHITECTURE.json} into a folder, and returns that file. */
  public Path write(final Path folder) throws IOException {
    final Map<Primitive, byte[]> bytes = new EnumMap<>(Primitive.class);
    results.forEach((primitive, words) -> bytes.put(primitive, bytes(words)));
    Files.createDirectories(folder);
    final Path file = folder.resolve(architecture + ".json");
    MAPPER
        .writerWithDefaultPrettyPrinter()
        .writeValue(file.toFile(), new Stored(device, architecture, bytes));
    return file;
  }

  private static int[] words(final byte[] bytes) {
    final int[] words = new int[bytes.length / Integer.BYTES];
    ByteBuffer.wrap(bytes).asIntBuffer().get(words);
    return words;
  }

  private static byte[] bytes(final int[] words) {
    final ByteBuffer bytes = ByteBuffer.allocate(words.length * Integer.BYTES);
    bytes.asIntBuffer().put(words);
    return bytes.array();
  }
}
