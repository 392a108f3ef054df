package dev.sarathi.tests.chaos;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;

/**
 * A temporary directory. It goes with the campaign, however that ends short of SIGKILL, and with it
 * go the processes and mounts that are still there.
 */
final class Workplace implements AutoCloseable {
  private final Path directory;
  private final Thread hook = Thread.ofPlatform().unstarted(this::abandon);

  Workplace() {
    try {
      this.directory = Files.createTempDirectory("sarathi-chaos-");
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
    Runtime.getRuntime().addShutdownHook(hook);
  }

  Path directory() {
    return directory;
  }

  /** Copies the logs of brokers and applications, whose names then tell whose they are. */
  void keepLogs(final Path target) {
    try (var files = Files.walk(directory)) {
      Files.createDirectories(target);
      for (final Path file : files.filter(f -> isLog(f)).toList()) {
        final String name = directory.relativize(file).toString().replace('/', '-');
        Files.copy(file, target.resolve(name), java.nio.file.StandardCopyOption.REPLACE_EXISTING);
      }
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static boolean isLog(final Path file) {
    final String name = file.getFileName().toString();
    return name.equals("application.log") || name.equals("broker.log");
  }

  private void delete() {
    try {
      Files.walkFileTree(
          directory,
          new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(final Path file, final BasicFileAttributes attributes)
                throws IOException {
              Files.deleteIfExists(file);
              return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFileFailed(final Path file, final IOException e) {
              return FileVisitResult.CONTINUE; // gone meanwhile
            }

            @Override
            public FileVisitResult postVisitDirectory(final Path visited, final IOException e)
                throws IOException {
              visited.toFile().delete();
              return FileVisitResult.CONTINUE;
            }
          });
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void abandon() {
    ChildJvm.refuse();
    close();
  }

  @Override
  public void close() {
    ChildJvm.endAll();
    StateDisk.unmountAll();
    delete();
  }
}
