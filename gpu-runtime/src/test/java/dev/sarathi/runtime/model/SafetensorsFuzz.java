package dev.sarathi.runtime.model;

import dev.sarathi.runtime.fuzz.ScratchFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * A file as it stands if the input begins with 0; else its first byte is the length of the data,
 * and the rest is the header, whose length is put before it.
 */
public final class SafetensorsFuzz {
  private static final ScratchFile FILE = new ScratchFile("model.safetensors");

  private SafetensorsFuzz() {}

  public static void fuzzerTestOneInput(final byte[] input) {
    if (input.length == 0) {
      return;
    }
    final byte[] rest = Arrays.copyOfRange(input, 1, input.length);
    FILE.write(input[0] == 0 ? rest : file(rest, Byte.toUnsignedInt(input[0])));
    try (Safetensors tensors = Safetensors.open(FILE.directory())) {
      tensors.tensors().values().forEach(Tensor::toFloats);
    } catch (final ModelFormatException e) {
      FILE.mustBeNamedBy(e);
    }
  }

  private static byte[] file(final byte[] header, final int dataBytes) {
    return ByteBuffer.allocate(8 + header.length + dataBytes)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(header.length)
        .put(header)
        .array();
  }
}
