package dev.sarathi.tests;

import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.Iteration;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.application.ApplicationOf;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import javax.management.JMException;
import javax.management.ObjectName;

/**
 * The application as {@code sarathi run} runs it, but that its engine pauses after each iteration,
 * so that generations are long, counts its iterations, and takes the process down with it when a
 * poisonous request is in the batch.
 */
final class FaultyApplication {
  /** Where its iterations are counted. */
  static final String ITERATIONS = "dev.sarathi.tests:type=Iterations";

  /** Ends the process when its id is among those of a batch. */
  static final String POISON = "poison";

  private static final int POISONED = 86;

  private FaultyApplication() {}

  /** The count, as JMX wants it. */
  public interface IterationsMXBean {
    /** Since the start. */
    long getCount();
  }

  /**
   * @param arguments the properties file, and the pause after each iteration in milliseconds
   */
  public static void main(final String[] arguments)
      throws IOException, InterruptedException, JMException {
    final Properties properties = new Properties();
    try (var in = Files.newBufferedReader(Path.of(arguments[0]))) {
      properties.load(in);
    }
    final long pauseNanos = Long.parseLong(arguments[1]) * 1_000_000;
    final Map<String, String> settings = new HashMap<>();
    properties.stringPropertyNames().forEach(n -> settings.put(n, properties.getProperty(n)));
    final AtomicLong iterations = new AtomicLong();
    final IterationsMXBean bean = iterations::get;
    ManagementFactory.getPlatformMBeanServer().registerMBean(bean, new ObjectName(ITERATIONS));
    final Application application =
        ApplicationOf.engine(
            settings,
            config ->
                GenerationEngine.start(
                    config,
                    iteration -> {
                      if (isPoisoned(iteration)) {
                        // As a kernel's fault would: no hook runs, nothing is closed.
                        Runtime.getRuntime().halt(POISONED);
                      }
                      iterations.incrementAndGet();
                      LockSupport.parkNanos(pauseNanos);
                    }));
    Runtime.getRuntime().addShutdownHook(Thread.ofPlatform().unstarted(application::close));
    System.exit(application.awaitStop() ? 0 : 1);
  }

  private static boolean isPoisoned(final Iteration iteration) {
    return iteration.parts().stream().anyMatch(part -> part.request().equals(POISON));
  }
}
