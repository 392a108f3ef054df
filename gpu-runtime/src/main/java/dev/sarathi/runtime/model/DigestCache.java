package dev.sarathi.runtime.model;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps the digests of weight files, so that a second start need not hash gigabytes. They lie in
 * the user's cache and not beside the model: what comes with a model must not vouch for it.
 *
 * <p>Digests are taken from here only for the very {@link FileState} they were kept for, and if a
 * sample of the content is the same. Anything else, and whatever is wrong with a kept file, means
 * that they are computed again.
 *
 * <p>Threading: immutable; other threads and processes may use the same directory.
 */
final class DigestCache {
  private static final Logger LOG = LoggerFactory.getLogger(DigestCache.class);

  /** Enough that another training of the same model differs in one of them. */
  private static final int SAMPLES = 256;

  private static final int SAMPLE_BYTES = 4096;

  /** Hashing less takes a tenth of a second. */
  private static final long WORTH_KEEPING = 64L << 20;

  private final Optional<Path> directory;
  private final long least;
  private final InstantSource clock;

  /**
   * @param directory made when first needed; if absent, nothing is kept
   * @param least bytes of the smallest file that is worth it
   */
  DigestCache(final Optional<Path> directory, final long least, final InstantSource clock) {
    this.directory = directory;
    this.least = least;
    this.clock = clock;
  }

  /** The folder {@code sarathi/digests} of the user's cache, as the XDG specification places it. */
  static DigestCache ofUser() {
    final String given = System.getenv("XDG_CACHE_HOME");
    final Path cache =
        given == null || given.isEmpty()
            ? Path.of(System.getProperty("user.home"), ".cache")
            : Path.of(given);
    // Who has no home is told of one that is not absolute.
    return new DigestCache(
        Optional.of(cache.resolve("sarathi/digests")).filter(Path::isAbsolute),
        WORTH_KEEPING,
        InstantSource.system());
  }

  /**
   * The digests of a file's chunks, one after the other.
   *
   * @param opened the file's state before it was mapped
   * @param bytes the whole file, mapped
   * @param computed what they are
   */
  byte[] digests(
      final Path file,
      final Optional<FileState> opened,
      final MemorySegment bytes,
      final Supplier<byte[]> computed) {
    final Optional<FileState> state =
        opened.filter(
            s ->
                bytes.byteSize() >= least
                    && s.size() == bytes.byteSize()
                    && s.tells(clock.instant())
                    && isStill(s, file));
    if (directory.isEmpty() || state.isEmpty()) {
      return computed.get();
    }
    final Path place = directory.get().resolve(name(state.get().file()));
    final byte[] identity = identity(state.get(), bytes);
    final Optional<byte[]> kept = kept(place, identity);
    if (kept.isPresent()) {
      LOG.info("digests of {} taken from {}: the file has not changed", file, place);
      return kept.get();
    }
    final byte[] digests = computed.get();
    if (isStill(state.get(), file)) {
      keep(place, identity, digests);
    }
    return digests;
  }

  private static boolean isStill(final FileState state, final Path file) {
    return FileState.of(file).equals(Optional.of(state));
  }

  private static String name(final Path file) {
    final byte[] path = file.toString().getBytes(StandardCharsets.UTF_8);
    return HexFormat.of().formatHex(Fingerprint.sha256().digest(path));
  }

  private static byte[] identity(final FileState state, final MemorySegment bytes) {
    final var identity = Fingerprint.sha256();
    identity.update(state.toString().getBytes(StandardCharsets.UTF_8));
    final long last = bytes.byteSize() - Math.min(SAMPLE_BYTES, bytes.byteSize());
    for (int i = 0; i < SAMPLES; i++) {
      final long from = last / (SAMPLES - 1) * i;
      identity.update(bytes.asSlice(from, Math.min(SAMPLE_BYTES, bytes.byteSize())).asByteBuffer());
    }
    return identity.digest();
  }

  /** A kept file is the identity, the digests, and the digest of both. */
  private static Optional<byte[]> kept(final Path place, final byte[] identity) {
    try {
      final byte[] all = Files.readAllBytes(place);
      final int end = all.length - Fingerprint.DIGEST_BYTES;
      if (end > Fingerprint.DIGEST_BYTES
          && all.length % Fingerprint.DIGEST_BYTES == 0
          && Arrays.equals(identity, Arrays.copyOf(all, Fingerprint.DIGEST_BYTES))
          && Arrays.equals(
              seal(Arrays.copyOf(all, end)), Arrays.copyOfRange(all, end, all.length))) {
        return Optional.of(Arrays.copyOfRange(all, Fingerprint.DIGEST_BYTES, end));
      }
    } catch (final NoSuchFileException e) {
      return Optional.empty();
    } catch (final IOException e) {
      LOG.info("digests in {} cannot be read: {}", place, e.toString());
    }
    return Optional.empty();
  }

  private static byte[] seal(final byte[] bytes) {
    return Fingerprint.sha256().digest(bytes);
  }

  private static void keep(final Path place, final byte[] identity, final byte[] digests) {
    final byte[] content =
        ByteBuffer.allocate(identity.length + digests.length).put(identity).put(digests).array();
    try {
      Files.createDirectories(place.getParent());
      final Path made = Files.createTempFile(place.getParent(), "", ".new");
      try {
        Files.write(
            made,
            ByteBuffer.allocate(content.length + Fingerprint.DIGEST_BYTES)
                .put(content)
                .put(seal(content))
                .array());
        Files.move(made, place, StandardCopyOption.ATOMIC_MOVE);
      } finally {
        Files.deleteIfExists(made);
      }
    } catch (final IOException e) {
      LOG.info("digests are not kept, the next start will compute them again: {}", e.toString());
    }
  }
}
