package dev.sarathi.streams.broker;

import java.nio.file.Path;

/** A JVM that starts a broker, tells its process id and waits to be killed. */
final class BrokerParent {

  private BrokerParent() {}

  public static void main(final String[] arguments) throws InterruptedException {
    final DevelopmentBroker broker =
        DevelopmentBroker.start(DevelopmentBroker.Options.in(Path.of(arguments[0])));
    System.out.println("pid=" + broker.process().pid());
    broker.awaitEnd();
  }
}
