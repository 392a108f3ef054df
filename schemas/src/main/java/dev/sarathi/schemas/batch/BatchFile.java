package dev.sarathi.schemas.batch;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.BitSet;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.Optional;
import java.util.Set;

/**
 * A file of requests, as one reading of the whole found it before any of it is sent.
 *
 * @param fingerprint 128 bits of the SHA-256 of its name and content, in hexadecimal: a file under
 *     another name is another job
 * @param lines its lines that are not blank
 * @param end the position after the last of them
 * @param repeated numbers of the lines, from 1, whose {@code custom_id} an earlier line has
 * @param size its bytes
 * @param modified when it was last written
 * @param maxLineBytes what a line may have; of a longer one no more is kept
 */
public record BatchFile(
    Path path,
    String fingerprint,
    int lines,
    long end,
    BitSet repeated,
    long size,
    FileTime modified,
    int maxLineBytes) {

  /** Reads the whole file once. */
  public static BatchFile scan(final Path path, final int maxLineBytes) throws IOException {
    return scan(path, maxLineBytes, "");
  }

  /**
   * Reads the whole file once.
   *
   * @param variant tells apart jobs of the same file; empty for the usual one
   */
  public static BatchFile scan(final Path path, final int maxLineBytes, final String variant)
      throws IOException {
    final FileTime modified = Files.getLastModifiedTime(path);
    final long size = Files.size(path);
    final MessageDigest digest = sha256();
    digest.update(path.getFileName().toString().getBytes(StandardCharsets.UTF_8));
    digest.update((byte) 0);
    digest.update(variant.getBytes(StandardCharsets.UTF_8));
    final BitSet repeated = new BitSet();
    final Set<String> customIds = new HashSet<>();
    int number = 0;
    int lines = 0;
    long end = 0;
    try (InputStream in = new DigestInputStream(Files.newInputStream(path), digest);
        LineReader reader = new LineReader(in, 0, maxLineBytes)) {
      for (Optional<LineReader.Line> next = reader.next(); next.isPresent(); next = reader.next()) {
        final LineReader.Line line = next.get();
        number++;
        if (line.isBlank()) {
          continue;
        }
        lines++;
        end = line.end();
        final Optional<String> customId = BatchLine.customId(line.bytes());
        if (customId.isPresent() && !customIds.add(customId.get())) {
          repeated.set(number);
        }
      }
    }
    final String fingerprint = HexFormat.of().formatHex(digest.digest(), 0, 16);
    return new BatchFile(path, fingerprint, lines, end, repeated, size, modified, maxLineBytes);
  }

  public String name() {
    return path.getFileName().toString();
  }

  public BatchJob job() {
    return new BatchJob(fingerprint, lines, name());
  }

  /**
   * What a line asks for, or why it asks for nothing.
   *
   * @param number of the line, from 1, blank ones counted
   */
  public BatchEntry entry(final int number, final LineReader.Line line) {
    try {
      if (line.cut()) {
        throw new InvalidLineException(
            "the line has more than %d bytes, the most that a line may have"
                .formatted(maxLineBytes));
      }
      final BatchLine parsed = BatchLine.parse(line.bytes());
      if (repeated.get(number)) {
        throw new InvalidLineException(
            "custom_id '" + parsed.customId() + "' is that of an earlier line");
      }
      return new BatchEntry.Request(
          new BatchRequest(fingerprint, number, parsed.endpoint(), parsed.customId()),
          parsed.request(),
          parsed.ignored());
    } catch (final InvalidLineException e) {
      return new BatchEntry.Refused(
          new BatchRequest(
              fingerprint, number, Endpoint.NONE, BatchLine.customId(line.bytes()).orElse("")),
          e.getMessage());
    }
  }

  /** Whether it is still what was scanned. */
  public boolean isUnchanged() throws IOException {
    return Files.exists(path)
        && Files.size(path) == size
        && Files.getLastModifiedTime(path).equals(modified);
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (final NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
