package dev.sarathi.tests.chaos;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * A JVM that the campaign starts. The campaign holds the other end of its standard input and never
 * writes: the end of that stream means that the campaign is gone, however it went, and the child
 * goes with it.
 */
final class ChildJvm {
  private static final Set<Process> CHILDREN = ConcurrentHashMap.newKeySet();

  private static volatile boolean refused;

  private ChildJvm() {}

  static Process start(
      final Class<?> main,
      final int heapMegabytes,
      final List<String> options,
      final List<String> arguments,
      final Path log) {
    if (refused) {
      throw new IllegalStateException("the campaign is at its end");
    }
    final List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "-Xmx" + heapMegabytes + "m",
            "-XX:+UseSerialGC",
            "--sun-misc-unsafe-memory-access=allow",
            "--enable-native-access=ALL-UNNAMED"));
    command.addAll(options);
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
    command.addAll(arguments);
    try {
      final Process child =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
              .start();
      CHILDREN.add(child);
      return child;
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** No further child is started: this JVM is on its way out. */
  static void refuse() {
    refused = true;
  }

  static boolean isRefused() {
    return refused;
  }

  /** Ends all that are left; SIGKILL ends a stopped one too. */
  static void endAll() {
    CHILDREN.forEach(Process::destroyForcibly);
    CHILDREN.forEach(child -> child.onExit().join());
  }

  /** Called in the child, first of all. */
  static void endWithParent() {
    Thread.ofPlatform()
        .daemon()
        .name("parent-watcher")
        .start(
            () -> {
              try {
                while (System.in.read() >= 0) {}
              } catch (final IOException e) {
                // A pipe that cannot be read has no parent at its other end either.
              }
              Runtime.getRuntime().halt(1);
            });
  }

  /** Sends a signal that Java has no method for. */
  static void signal(final Process child, final String name) {
    try {
      new ProcessBuilder("kill", "-" + name, Long.toString(child.pid())).start().waitFor();
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
