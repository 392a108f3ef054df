package dev.sarathi.streams.broker;

import java.io.IOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One Kafka broker, its own controller, in a child JVM: for development, demonstrations and tests.
 *
 * <p>The child never outlives this JVM: {@link #close} ends it, a shutdown hook does so at exit,
 * and when this JVM is killed the child sees the end of its standard input and halts.
 *
 * <p>Kafka's jars are found in the system property {@value #CLASSPATH_PROPERTY} where it is set,
 * else on this JVM's own class path.
 *
 * <p>Threading: {@link #kill} and {@link #process} may be called from any thread, all else from one
 * thread at a time.
 */
public final class DevelopmentBroker implements AutoCloseable {

  /** {@code sarathi.broker.classpath}: the class path of the child JVM. */
  public static final String CLASSPATH_PROPERTY = "sarathi.broker.classpath";

  private static final Logger log = LoggerFactory.getLogger(DevelopmentBroker.class);
  private static final String HOST = "localhost";
  private static final Duration START_LIMIT = Duration.ofSeconds(60);
  private static final Duration STOP_LIMIT = Duration.ofSeconds(10);
  private static final int LOG_TAIL_LINES = 20;

  // A single broker that idles most of the time and should be ready at once. The rest is Kafka's.
  private static final Map<String, String> SETTINGS =
      Map.ofEntries(
          Map.entry("process.roles", "broker,controller"),
          Map.entry("node.id", "1"),
          Map.entry("controller.listener.names", "CONTROLLER"),
          Map.entry("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
          // After a kill, the controller waits for the end of the broker's old session.
          Map.entry("broker.session.timeout.ms", "2000"),
          Map.entry("broker.heartbeat.interval.ms", "250"),
          Map.entry("offsets.topic.replication.factor", "1"),
          Map.entry("offsets.topic.num.partitions", "4"),
          Map.entry("transaction.state.log.replication.factor", "1"),
          Map.entry("transaction.state.log.min.isr", "1"),
          Map.entry("transaction.state.log.num.partitions", "4"),
          Map.entry("share.coordinator.state.topic.replication.factor", "1"),
          Map.entry("share.coordinator.state.topic.min.isr", "1"),
          Map.entry("share.coordinator.state.topic.num.partitions", "1"),
          Map.entry("group.initial.rebalance.delay.ms", "0"),
          Map.entry("group.consumer.min.heartbeat.interval.ms", "500"),
          Map.entry("group.consumer.heartbeat.interval.ms", "1000"),
          Map.entry("group.streams.initial.rebalance.delay.ms", "0"),
          Map.entry("group.streams.min.heartbeat.interval.ms", "500"),
          Map.entry("group.streams.heartbeat.interval.ms", "1000"),
          Map.entry("group.streams.min.session.timeout.ms", "3000"),
          Map.entry("group.streams.session.timeout.ms", "6000"),
          Map.entry("num.network.threads", "2"),
          Map.entry("num.io.threads", "4"),
          Map.entry("background.threads", "2"),
          Map.entry("log.cleaner.dedupe.buffer.size", "16777216"));

  /**
   * How to run a broker.
   *
   * @param directory where its data, settings and log lie; made if absent, kept at the end
   * @param port where clients connect, on the loopback interface; 0 takes a free one
   * @param heapMegabytes the child's maximum heap
   * @param settings broker settings on top of those of a development broker
   */
  public record Options(Path directory, int port, int heapMegabytes, Map<String, String> settings) {

    public Options {
      if (port < 0 || port > 65_535) {
        throw new IllegalArgumentException("port is " + port + ", must be in 0..65535");
      }
      if (heapMegabytes < 64) {
        throw new IllegalArgumentException(
            "heapMegabytes is " + heapMegabytes + ", must be at least 64");
      }
      directory = directory.toAbsolutePath();
      settings = Map.copyOf(settings);
    }

    /** A free port and 512 MiB of heap. */
    public static Options in(Path directory) {
      return new Options(directory, 0, 512, Map.of());
    }

    public Options withPort(final int port) {
      return new Options(directory, port, heapMegabytes, settings);
    }

    public Options withHeapMegabytes(final int heapMegabytes) {
      return new Options(directory, port, heapMegabytes, settings);
    }

    public Options withSetting(final String name, final String value) {
      final Map<String, String> more = new TreeMap<>(settings);
      more.put(name, value);
      return new Options(directory, port, heapMegabytes, more);
    }
  }

  // How often the broker looks for transactions that have timed out: a killed client's holds up its
  // readers until it is aborted.
  private static final String ABORT_INTERVAL =
      "transaction.abort.timed.out.transaction.cleanup.interval.ms";

  private final Options options;
  private final int port;
  private final Thread shutdownHook = new Thread(this::stop, "development-broker-shutdown");
  private volatile Process child;

  private DevelopmentBroker(final Options options) {
    this.options = options;
    this.port = options.port() == 0 ? freePort() : options.port();
  }

  /**
   * Starts a broker and waits until it answers.
   *
   * @throws BrokerFailedException if it does not within a minute
   */
  public static DevelopmentBroker start(final Options options) {
    final DevelopmentBroker broker = new DevelopmentBroker(options);
    Runtime.getRuntime().addShutdownHook(broker.shutdownHook);
    try {
      broker.run();
    } catch (RuntimeException e) {
      broker.close();
      throw e;
    }
    return broker;
  }

  /** The address for {@code bootstrap.servers}; the same after a {@link #restart}. */
  public String bootstrapServers() {
    return HOST + ":" + port;
  }

  /** The child JVM, running or ended. */
  public ProcessHandle process() {
    return child.toHandle();
  }

  /** Everything the broker has logged, over all its starts in this directory. */
  public Path logFile() {
    return options.directory().resolve("broker.log");
  }

  /**
   * Waits until the broker ends, by {@link #kill}, by {@link #close}, or otherwise.
   *
   * @return the exit code of its JVM
   */
  public int awaitEnd() throws InterruptedException {
    return child.waitFor();
  }

  /** Kills the broker with SIGKILL and waits for its end. The data stay as they are. */
  public void kill() {
    child.destroyForcibly();
    endsWithin(STOP_LIMIT);
  }

  /**
   * Runs the broker again with the same data and port, stopping it first if need be.
   *
   * @throws BrokerFailedException if it does not answer within a minute
   */
  public void restart() {
    stop();
    run();
  }

  /** Stops the broker gracefully, and by force if that takes more than ten seconds. Idempotent. */
  @Override
  public void close() {
    stop();
    try {
      Runtime.getRuntime().removeShutdownHook(shutdownHook);
    } catch (IllegalStateException e) {
      // This JVM is on its way out, and the hook finds nothing left to stop.
    }
  }

  /** The last lines of the log, for error messages. */
  public String logTail() {
    try {
      final List<String> lines = Files.readAllLines(logFile());
      return String.join(
          "\n", lines.subList(Math.max(0, lines.size() - LOG_TAIL_LINES), lines.size()));
    } catch (IOException e) {
      return logFile() + " cannot be read: " + e;
    }
  }

  private void run() {
    final long start = System.nanoTime();
    try {
      Files.createDirectories(options.directory());
      final Path properties = writeProperties();
      child =
          new ProcessBuilder(command(properties))
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.appendTo(logFile().toFile()))
              .start();
    } catch (IOException e) {
      throw new BrokerFailedException("The broker's JVM could not be started: " + e, e);
    }
    awaitAnswer(start + START_LIMIT.toNanos());
    log.info(
        "Development broker {} (pid {}) is ready after {} ms; data in {}",
        bootstrapServers(),
        child.pid(),
        (System.nanoTime() - start) / 1_000_000,
        options.directory());
  }

  private List<String> command(final Path properties) {
    return List.of(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-Xmx" + options.heapMegabytes() + "m",
        // Its life is short and its heap small: what counts is the start.
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "--sun-misc-unsafe-memory-access=allow",
        "-Dlogback.configurationFile=dev/sarathi/streams/broker/logback.xml",
        "-cp",
        System.getProperty(CLASSPATH_PROPERTY, System.getProperty("java.class.path")),
        BrokerProcess.class.getName(),
        properties.toString(),
        dataDirectory().toString());
  }

  private Path dataDirectory() {
    return options.directory().resolve("data");
  }

  private Path writeProperties() throws IOException {
    // The controller is asked by this broker alone, so its port may change between starts.
    int controllerPort;
    try (ServerSocket _ = bind(port)) {
      controllerPort = freePort();
    } catch (BindException e) {
      throw new BrokerFailedException(
          "Port %d of %s is in use; stop what listens there, or give another port"
              .formatted(port, HOST),
          e);
    }
    final String listener = "PLAINTEXT://" + HOST + ":" + port;
    final Properties properties = new Properties();
    properties.putAll(SETTINGS);
    // A broker that comes back must have elected its leaders before it looks: a partition without
    // a leader is taken for deleted and never gets the transaction's marker (KAFKA-20734), which
    // holds up its readers for good.
    properties.put(ABORT_INTERVAL, Files.exists(dataDirectory()) ? "10000" : "1000");
    properties.put("listeners", listener + ",CONTROLLER://" + HOST + ":" + controllerPort);
    properties.put("advertised.listeners", listener);
    properties.put("controller.quorum.voters", "1@" + HOST + ":" + controllerPort);
    properties.put("log.dirs", dataDirectory().toString());
    properties.putAll(options.settings());
    final Path file = options.directory().resolve("server.properties");
    try (var out = Files.newBufferedWriter(file)) {
      properties.store(out, "Written at every start of the development broker");
    }
    return file;
  }

  private void awaitAnswer(final long deadline) {
    // The port first: a client that finds it closed logs warnings and backs off.
    while (!portOpen()) {
      pause(deadline);
    }
    try (Admin admin =
        Admin.create(Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrapServers()))) {
      while (!answers(admin)) {
        pause(deadline);
      }
    }
  }

  private boolean portOpen() {
    try (Socket socket = new Socket()) {
      socket.connect(new InetSocketAddress(HOST, port), 1_000);
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  private static boolean answers(final Admin admin) {
    try {
      return !admin.describeCluster().nodes().get(5, TimeUnit.SECONDS).isEmpty();
    } catch (ExecutionException | TimeoutException e) {
      return false;
    } catch (InterruptedException e) {
      throw interrupted(e);
    }
  }

  private void pause(final long deadline) {
    if (!child.isAlive()) {
      throw new BrokerFailedException(
          "The broker ended with exit code %d before it answered at %s. The end of its log, %s:%n%s"
              .formatted(child.exitValue(), bootstrapServers(), logFile(), logTail()));
    }
    if (System.nanoTime() >= deadline) {
      throw new BrokerFailedException(
          "The broker did not answer at %s within %d s. The end of its log, %s:%n%s"
              .formatted(bootstrapServers(), START_LIMIT.toSeconds(), logFile(), logTail()));
    }
    try {
      Thread.sleep(20);
    } catch (InterruptedException e) {
      throw interrupted(e);
    }
  }

  private void stop() {
    if (child == null) {
      return;
    }
    // Not Process.destroy(): it also closes the child's standard input, which would halt it.
    child.toHandle().destroy();
    if (!endsWithin(STOP_LIMIT)) {
      log.warn("Development broker (pid {}) did not stop in time and is killed", child.pid());
      kill();
    }
  }

  private boolean endsWithin(final Duration limit) {
    try {
      return child.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      child.destroyForcibly();
      Thread.currentThread().interrupt();
      return true;
    }
  }

  private static BrokerFailedException interrupted(final InterruptedException e) {
    Thread.currentThread().interrupt();
    return new BrokerFailedException("Interrupted while waiting for the broker to answer", e);
  }

  // Below the ports that systems give to outgoing connections: a client that tries to reach a
  // killed
  // broker there can be given that very port, connect to itself, and so keep the broker from it.
  private static int freePort() {
    for (int attempt = 0; attempt < 100; attempt++) {
      final int port = ThreadLocalRandom.current().nextInt(15_000, 32_000);
      try (ServerSocket free = bind(port)) {
        return free.getLocalPort();
      } catch (IOException e) {
        // Taken; the next one may not be.
      }
    }
    throw new BrokerFailedException("No free port on the loopback interface in 15000..31999");
  }

  private static ServerSocket bind(final int port) throws IOException {
    return new ServerSocket(port, 1, InetAddress.getByName(HOST));
  }
}
