package dev.sarathi.runtime.model;

import dev.sarathi.runtime.fuzz.ScratchFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** An index beside two good shards, whose tensors are {@code a} and {@code b}. */
public final class ShardIndexFuzz {
  private static final ScratchFile FILE = new ScratchFile("model.safetensors.index.json");

  static {
    FILE.beside("one.safetensors", shard("a"));
    FILE.beside("two.safetensors", shard("b"));
  }

  private ShardIndexFuzz() {}

  public static void fuzzerTestOneInput(final byte[] input) {
    FILE.write(input);
    try (Safetensors tensors = Safetensors.open(FILE.directory())) {
      if (!tensors.tensors().keySet().stream().allMatch("ab"::contains)) {
        throw new AssertionError("tensors from nowhere: " + tensors.tensors().keySet());
      }
    } catch (final ModelFormatException e) {
      FILE.directoryMustBeNamedBy(e);
    }
  }

  private static byte[] shard(final String tensor) {
    final byte[] header =
        "{\"%s\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}}"
            .formatted(tensor)
            .getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(8 + header.length + 4)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(header.length)
        .put(header)
        .array();
  }
}
