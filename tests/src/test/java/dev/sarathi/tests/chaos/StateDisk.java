package dev.sarathi.tests.chaos;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/** The disk of an instance's state: a small one of its own where the campaign may mount one. */
final class StateDisk implements AutoCloseable {
  private static final int MEGABYTES = 192;
  private static final Set<Path> MOUNTED = ConcurrentHashMap.newKeySet();

  private final Path directory;
  private final boolean bounded;

  StateDisk(final Path directory) {
    this.directory = directory;
    try {
      Files.createDirectories(directory);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
    this.bounded =
        succeeds(
            "mount",
            "-t",
            "tmpfs",
            "-o",
            "size=" + MEGABYTES + "m",
            "sarathi-chaos",
            directory.toString());
    if (bounded) {
      MOUNTED.add(directory);
    }
  }

  /** Whether disks can be mounted here. */
  static boolean canBeBounded(final Path directory) {
    try (StateDisk disk = new StateDisk(directory)) {
      return disk.isBounded();
    }
  }

  /** Whether it can be filled up without harm to others. */
  boolean isBounded() {
    return bounded;
  }

  Path directory() {
    return directory;
  }

  void fill() {
    final byte[] block = new byte[1 << 16];
    try (OutputStream out = Files.newOutputStream(filler())) {
      while (true) {
        out.write(block);
      }
    } catch (final IOException e) {
      // Full.
    }
  }

  void free() {
    try {
      Files.deleteIfExists(filler());
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Path filler() {
    return directory.resolve("filler");
  }

  /** Takes all away that are left. */
  static void unmountAll() {
    MOUNTED.forEach(StateDisk::unmount);
  }

  private static void unmount(final Path mounted) {
    succeeds("umount", "-l", mounted.toString());
    MOUNTED.remove(mounted);
  }

  private static boolean succeeds(final String... command) {
    try {
      final Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      return process.waitFor(10, TimeUnit.SECONDS) && process.exitValue() == 0;
    } catch (final IOException e) {
      return false;
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  @Override
  public void close() {
    if (bounded) {
      unmount(directory);
    }
  }
}
