package dev.sarathi.tests.chaos;

import java.nio.file.Files;
import java.nio.file.Path;
import kafka.Kafka;
import kafka.tools.StorageTool;

/** What runs in a broker's JVM: formats the storage if it is new, then Kafka. */
final class BrokerMain {
  private BrokerMain() {}

  /**
   * @param arguments the server's properties file, the directory of its logs, the cluster's id
   */
  public static void main(final String[] arguments) {
    ChildJvm.endWithParent();
    if (Files.notExists(Path.of(arguments[1], "meta.properties"))) {
      final int status =
          StorageTool.execute(
              new String[] {"format", "--cluster-id", arguments[2], "--config", arguments[0]},
              System.out);
      if (status != 0) {
        System.exit(status);
      }
    }
    Kafka.main(new String[] {arguments[0]});
  }
}
