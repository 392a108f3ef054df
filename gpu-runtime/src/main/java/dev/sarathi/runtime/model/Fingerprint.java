package dev.sarathi.runtime.model;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * SHA-256 over the files that decide what a model says. A file enters as its name, its length and
 * the digests of its chunks, so that all cores hash gigabytes together.
 */
final class Fingerprint {
  static final int DIGEST_BYTES = 32;

  private static final long CHUNK = 16L << 20;
  private static final long MAX_TEXT = 256L << 20;

  /** The last two hold the chat template, which decides what prompt a conversation becomes. */
  private static final List<String> TEXTS =
      List.of("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja");

  private Fingerprint() {}

  /**
   * @param cache may know the digests of the weights
   */
  static String of(
      final Path directory,
      final Map<String, Safetensors.Mapped> weights,
      final DigestCache cache) {
    final MessageDigest whole = sha256();
    for (String name : TEXTS) {
      final Path file = directory.resolve(name);
      if (RegularFile.isThere(file)) {
        final MemorySegment bytes = read(file);
        begin(whole, name, bytes);
        whole.update(digests(bytes));
      }
    }
    weights.forEach(
        (name, file) -> {
          begin(whole, name, file.bytes());
          whole.update(
              cache.digests(
                  directory.resolve(name),
                  file.opened(),
                  file.bytes(),
                  () -> digests(file.bytes())));
        });
    return HexFormat.of().formatHex(whole.digest());
  }

  private static MemorySegment read(final Path file) {
    final long size = RegularFile.size(file);
    if (size > MAX_TEXT) {
      throw new ModelFormatException(file, size + " bytes; supported: at most " + MAX_TEXT);
    }
    try {
      return MemorySegment.ofArray(Files.readAllBytes(file));
    } catch (IOException e) {
      throw new ModelFormatException(file, "cannot be read: " + e, e);
    }
  }

  private static void begin(
      final MessageDigest whole, final String name, final MemorySegment bytes) {
    whole.update((name + '\0' + bytes.byteSize() + '\0').getBytes(StandardCharsets.UTF_8));
  }

  /** Of all chunks, one after the other. */
  private static byte[] digests(final MemorySegment bytes) {
    final int chunks = Math.toIntExact((bytes.byteSize() + CHUNK - 1) / CHUNK);
    final ByteBuffer digests = ByteBuffer.allocate(Math.multiplyExact(chunks, DIGEST_BYTES));
    IntStream.range(0, chunks)
        .parallel()
        .mapToObj(i -> digest(bytes, i * CHUNK))
        .forEachOrdered(digests::put);
    return digests.array();
  }

  private static byte[] digest(final MemorySegment bytes, final long from) {
    final MessageDigest chunk = sha256();
    chunk.update(bytes.asSlice(from, Math.min(CHUNK, bytes.byteSize() - from)).asByteBuffer());
    return chunk.digest();
  }

  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
