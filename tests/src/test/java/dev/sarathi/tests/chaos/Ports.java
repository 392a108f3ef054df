package dev.sarathi.tests.chaos;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;

/** Free ports of the loopback interface, none given twice. */
final class Ports {
  private static final Set<Integer> TAKEN = new HashSet<>();

  private Ports() {}

  /** Below those that systems give to outgoing connections, which could otherwise be given it. */
  static synchronized int free() {
    while (true) {
      final int port = ThreadLocalRandom.current().nextInt(15_000, 32_000);
      if (TAKEN.contains(port)) {
        continue;
      }
      try (ServerSocket free = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
        TAKEN.add(free.getLocalPort());
        return free.getLocalPort();
      } catch (final IOException e) {
        TAKEN.add(port);
      }
    }
  }
}
