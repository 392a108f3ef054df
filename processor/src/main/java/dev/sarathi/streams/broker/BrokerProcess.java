package dev.sarathi.streams.broker;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import kafka.Kafka;
import kafka.tools.StorageTool;
import org.apache.kafka.common.Uuid;

/**
 * What runs in the broker's JVM: formats the storage if it is new, then runs Kafka in the
 * foreground.
 *
 * <p>The parent holds the other end of standard input and never writes. Its end means that the
 * parent is gone, however it went, and the broker goes with it.
 */
final class BrokerProcess {

  // Kept open, and the lock with it, for as long as this JVM lives.
  private static FileChannel lockFile;

  private BrokerProcess() {}

  /**
   * @param arguments the server's properties file, and the directory of its logs
   */
  public static void main(final String[] arguments) throws IOException {
    Thread.ofPlatform().daemon().name("parent-watcher").start(BrokerProcess::haltWithParent);
    final String properties = arguments[0];
    final Path logs = Path.of(arguments[1]);
    // Kafka's own lock comes too late: by then a second controller has written to the metadata of
    // the first, which from then on creates no topic.
    final Path lock = Path.of(properties).resolveSibling("lock");
    lockFile = FileChannel.open(lock, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    if (lockFile.tryLock() == null) {
      System.out.println("Another broker is running in " + lock.getParent());
      System.exit(1);
    }
    // Here rather than in a JVM of its own, which would cost as much again as the broker's start.
    if (Files.notExists(logs.resolve("meta.properties"))) {
      final int status =
          StorageTool.execute(
              new String[] {
                "format", "--cluster-id", Uuid.randomUuid().toString(), "--config", properties
              },
              System.out);
      if (status != 0) {
        System.exit(status);
      }
    }
    Kafka.main(new String[] {properties});
  }

  private static void haltWithParent() {
    try {
      while (System.in.read() >= 0) {}
    } catch (IOException e) {
      // A pipe that cannot be read has no parent at its other end either.
    }
    Runtime.getRuntime().halt(1);
  }
}
