package dev.sarathi.runtime.model;

import static java.nio.file.StandardCopyOption.REPLACE_EXISTING;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class DigestCacheTest {
  /** Of which the cache samples less than half. */
  private static final int SIZE = 3 << 20;

  /** By when a file of this moment has not been changed for long. */
  private static final InstantSource LATER = () -> Instant.now().plusSeconds(10);

  @TempDir private Path directory;
  private Path file;
  private Path kept;
  private int computed;

  @BeforeEach
  void write() throws IOException {
    file = directory.resolve("model.safetensors");
    kept = directory.resolve("cache");
    final byte[] content = new byte[SIZE];
    new Random(1).nextBytes(content);
    Files.write(file, content);
  }

  @Test
  void shouldComputeTheDigestsOfAnUnchangedFileOnce() throws IOException {
    final byte[] first = digests();
    assertThat(digests()).isEqualTo(first);
    assertThat(computed).isEqualTo(1);
    assertThat(keptFiles()).hasSize(1);
  }

  @Test
  void shouldComputeTheSameFingerprintWithAndWithout() throws IOException {
    final Path model = Path.of("../models/storyteller");
    final DigestCache cache = cache(LATER);
    try (Model without = Model.open(model);
        Model filling = Model.open(model, cache);
        Model filled = Model.open(model, cache)) {
      assertThat(keptFiles()).hasSize(1);
      assertThat(filling.fingerprint()).isEqualTo(without.fingerprint());
      assertThat(filled.fingerprint()).isEqualTo(without.fingerprint());
    }
  }

  @Test
  void shouldNoticeOtherContentOfTheSameSizeAndTime() throws Exception {
    final byte[] first = digests();
    final FileTime modified = Files.getLastModifiedTime(file);
    Thread.sleep(20); // the kernel's clock ticks every 10 ms at the slowest

    // when one bit changes where there is no sample
    final byte[] content = Files.readAllBytes(file);
    content[SIZE / 255 * 3 - 1000] ^= 1;
    Files.write(file, content);
    Files.setLastModifiedTime(file, modified);

    // then
    assertThat(digests()).isNotEqualTo(first);
    assertThat(computed).isEqualTo(2);
    digests();
    assertThat(computed).isEqualTo(2);
  }

  @Test
  void shouldNoticeAnotherFileInItsPlace() throws IOException {
    digests();
    final Path other = directory.resolve("other");
    Files.copy(file, other);
    Files.setLastModifiedTime(other, Files.getLastModifiedTime(file));
    Files.move(other, file, REPLACE_EXISTING);
    digests();
    assertThat(computed).isEqualTo(2);
  }

  /** What is mapped is the file that was there; digests are known of the one that is there now. */
  @Test
  void shouldNotTakeTheDigestsOfAFileThatHasComeAfterTheMapping() throws Exception {
    digests();
    final byte[] first = Files.readAllBytes(file);
    final Path other = directory.resolve("other");
    Files.copy(file, other);
    Thread.sleep(20);
    final Optional<FileState> opened = FileState.of(other);
    Files.move(file, other, REPLACE_EXISTING);
    cache(LATER).digests(other, opened, MemorySegment.ofArray(first), () -> computed(first));
    assertThat(computed).isEqualTo(2);
  }

  /** It might be changed again within the same tick of its clock. */
  @Test
  void shouldNotTrustAFileThatHasJustBeenChanged() throws IOException {
    digests(cache(InstantSource.system()));
    digests(cache(InstantSource.system()));
    assertThat(computed).isEqualTo(2);
    assertThat(kept).doesNotExist();
  }

  @Test
  void shouldNotTrustTimesThatMayBeThoseOfAnImage() {
    final Instant seconds = Instant.now().minusSeconds(100).truncatedTo(ChronoUnit.SECONDS);
    assertThat(state(seconds).tells(Instant.now())).isFalse();
    assertThat(state(seconds.plusNanos(1)).tells(Instant.now())).isTrue();
  }

  private FileState state(final Instant changed) {
    final FileTime time = FileTime.from(changed);
    return new FileState(file, SIZE, time, time, 1);
  }

  @Test
  void shouldNotKeepTheDigestsOfASmallFile() throws IOException {
    digests(new DigestCache(Optional.of(kept), SIZE + 1, LATER));
    assertThat(kept).doesNotExist();
  }

  enum Damage {
    EMPTY,
    TRUNCATED,
    LONGER,
    CHANGED,
    FOREIGN,
    OF_ANOTHER_FILE,
    DIRECTORY
  }

  @ParameterizedTest
  @EnumSource
  void shouldComputeAgainWhereTheKeptFileIsDamaged(final Damage damage) throws IOException {
    final byte[] first = digests();
    final Path place = keptFiles().getFirst();
    final byte[] content = Files.readAllBytes(place);
    switch (damage) {
      case EMPTY -> Files.write(place, new byte[0]);
      case TRUNCATED -> Files.write(place, Arrays.copyOf(content, content.length - 32));
      case LONGER -> Files.write(place, Arrays.copyOf(content, content.length + 32));
      case CHANGED -> {
        content[40] ^= 1;
        Files.write(place, content);
      }
      case FOREIGN -> Files.writeString(place, "digest=0000\n".repeat(8));
      case OF_ANOTHER_FILE -> {
        final Path model = file;
        file = directory.resolve("other");
        Files.write(file, new byte[SIZE]);
        digests();
        computed--;
        final List<Path> both = new ArrayList<>(keptFiles());
        both.remove(place);
        Files.copy(both.getFirst(), place, REPLACE_EXISTING);
        file = model;
      }
      case DIRECTORY -> {
        Files.delete(place);
        Files.createDirectories(place.resolve("something"));
      }
    }
    assertThat(digests()).isEqualTo(first);
    assertThat(computed).isEqualTo(2);
    digests();
    assertThat(computed).as("mended").isEqualTo(damage == Damage.DIRECTORY ? 3 : 2);
  }

  @Test
  void shouldServeWhereNothingCanBeKept() throws IOException {
    kept = Files.createFile(directory.resolve("a file")).resolve("cache");
    assertThat(digests()).isEqualTo(digests());
    assertThat(computed).isEqualTo(2);

    kept = Files.createDirectory(directory.resolve("read only"));
    assertThat(kept.toFile().setReadOnly()).isTrue();
    assertThat(digests()).isEqualTo(digests(new DigestCache(Optional.empty(), 0, LATER)));
    assertThat(computed).isEqualTo(4);
  }

  /** Which share nothing but the directory, as processes do. */
  @Test
  void shouldServeManyAtOnce() throws Exception {
    final byte[] first = digests();
    final Path place = keptFiles().getFirst();
    final List<Callable<byte[]>> starts = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      final boolean forgets = i % 5 == 0;
      starts.add(
          () -> {
            if (forgets) {
              Files.deleteIfExists(place);
            }
            return digests();
          });
    }
    try (var threads = Executors.newFixedThreadPool(8)) {
      for (final Future<byte[]> start : threads.invokeAll(starts)) {
        assertThat(start.get()).isEqualTo(first);
      }
    }
    assertThat(keptFiles()).containsExactly(place);
  }

  private byte[] digests() throws IOException {
    return digests(cache(LATER));
  }

  private DigestCache cache(final InstantSource clock) {
    return new DigestCache(Optional.of(kept), 0, clock);
  }

  private byte[] digests(final DigestCache cache) throws IOException {
    final Optional<FileState> opened = FileState.of(file);
    final byte[] content = Files.readAllBytes(file);
    return cache.digests(file, opened, MemorySegment.ofArray(content), () -> computed(content));
  }

  private synchronized byte[] computed(final byte[] content) {
    computed++;
    final byte[] digest = Fingerprint.sha256().digest(content);
    return (new String(digest, StandardCharsets.ISO_8859_1).repeat(3))
        .getBytes(StandardCharsets.ISO_8859_1);
  }

  private List<Path> keptFiles() throws IOException {
    try (Stream<Path> files = Files.list(kept)) {
      return files.toList();
    }
  }
}
