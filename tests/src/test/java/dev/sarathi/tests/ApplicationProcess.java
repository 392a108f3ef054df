package dev.sarathi.tests;

import com.sun.tools.attach.VirtualMachine;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryMXBean;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import javax.management.JMException;
import javax.management.MBeanServerConnection;
import javax.management.ObjectName;
import javax.management.remote.JMXConnector;
import javax.management.remote.JMXConnectorFactory;
import javax.management.remote.JMXServiceURL;

/** The application in a JVM of its own, which can be killed and looked at. */
final class ApplicationProcess implements AutoCloseable {
  private final Path directory;
  private final List<String> main;
  private Process process;
  private int starts;

  private ApplicationProcess(final Path directory, final List<String> main) {
    this.directory = directory;
    this.main = main;
  }

  /**
   * Starts one.
   *
   * @param directory for its configuration, its state and its logs
   * @param settings besides those of every test: the bundled model, one thread, a registry in
   *     memory
   */
  static ApplicationProcess start(final Path directory, final Map<String, ?> settings) {
    return start(
        directory,
        settings,
        List.of("dev.sarathi.streams.cli.Sarathi", "run", "--config", config(directory)));
  }

  /** Starts one whose engine pauses after each iteration, and dies of poison. */
  static ApplicationProcess faulty(
      final Path directory, final Map<String, ?> settings, final Duration pause) {
    return start(
        directory,
        settings,
        List.of(
            FaultyApplication.class.getName(), config(directory), Long.toString(pause.toMillis())));
  }

  private static ApplicationProcess start(
      final Path directory, final Map<String, ?> settings, final List<String> main) {
    final ApplicationProcess application = new ApplicationProcess(directory, main);
    application.configure(settings);
    application.start();
    return application;
  }

  private static String config(final Path directory) {
    return directory.resolve("application.properties").toString();
  }

  /** Writes down the settings of the next start, besides those of every test. */
  void configure(final Map<String, ?> settings) {
    final Properties properties = new Properties();
    properties.setProperty("schema.registry.url", "mock://tests");
    properties.setProperty("state.dir", directory.resolve("state").toString());
    properties.setProperty("sarathi.model", Stories.MODEL.toString());
    properties.setProperty("sarathi.cpu.threads", "1");
    settings.forEach((name, value) -> properties.setProperty(name, value.toString()));
    try {
      Files.createDirectories(directory);
      try (Writer writer =
          Files.newBufferedWriter(Path.of(config(directory)), StandardCharsets.UTF_8)) {
        properties.store(writer, null);
      }
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Starts it again, once it has ended. */
  void start() {
    final List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("--add-modules=jdk.incubator.vector");
    command.add("--enable-native-access=ALL-UNNAMED");
    command.add("-XX:+UseSerialGC");
    command.add("-Xmx512m");
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.addAll(main);
    starts++;
    try {
      process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(log().toFile())
              .start();
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Path log() {
    return directory.resolve("application-" + starts + ".log");
  }

  /** What it has logged since its last start. */
  String logged() {
    try {
      return Files.readString(log());
    } catch (final IOException e) {
      return e.toString();
    }
  }

  /** Waits until it has logged something since its last start. */
  void awaitLine(final String part, final Duration limit) {
    final long deadline = System.nanoTime() + limit.toNanos();
    while (!logged().contains(part)) {
      if (System.nanoTime() > deadline || !process.isAlive()) {
        throw new IllegalStateException("no line with " + part + " in:\n" + logged());
      }
      try {
        Thread.sleep(50);
      } catch (final InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  Process process() {
    return process;
  }

  /** SIGKILL. */
  void kill() {
    try {
      process.destroyForcibly().waitFor();
    } catch (final InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  /** SIGTERM, and SIGKILL if that does not help. */
  void stop() {
    process.destroy();
    try {
      if (process.waitFor(15, TimeUnit.SECONDS)) {
        return;
      }
    } catch (final InterruptedException e) {
      throw new IllegalStateException(e);
    }
    kill();
  }

  /** Heap in use, in bytes, garbage included. */
  long heapBytes() {
    try (JMXConnector connector = JMXConnectorFactory.connect(management())) {
      return ManagementFactory.newPlatformMXBeanProxy(
              connector.getMBeanServerConnection(),
              ManagementFactory.MEMORY_MXBEAN_NAME,
              MemoryMXBean.class)
          .getHeapMemoryUsage()
          .getUsed();
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Resident memory in bytes, as Linux tells it. */
  long residentBytes() {
    return status("VmRSS:") << 10;
  }

  private long status(final String name) {
    try {
      return Files.readAllLines(Path.of("/proc", Long.toString(process.pid()), "status")).stream()
          .filter(line -> line.startsWith(name))
          .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
          .findFirst()
          .orElseThrow();
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The sum of an attribute over all beans that a pattern names. */
  double sum(final String pattern, final String attribute) {
    try (JMXConnector connector = JMXConnectorFactory.connect(management())) {
      final MBeanServerConnection beans = connector.getMBeanServerConnection();
      double sum = 0;
      for (final ObjectName bean : beans.queryNames(new ObjectName(pattern), null)) {
        sum += ((Number) beans.getAttribute(bean, attribute)).doubleValue();
      }
      return sum;
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    } catch (final JMException e) {
      throw new IllegalStateException(e);
    }
  }

  private JMXServiceURL management() throws IOException {
    try {
      final VirtualMachine machine = VirtualMachine.attach(Long.toString(process.pid()));
      try {
        return new JMXServiceURL(machine.startLocalManagementAgent());
      } finally {
        machine.detach();
      }
    } catch (final com.sun.tools.attach.AttachNotSupportedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    kill();
  }
}
