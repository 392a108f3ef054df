package dev.sarathi.tests.chaos;

import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.streams.application.Application;
import dev.sarathi.streams.application.ApplicationOf;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;

/**
 * The application as {@code sarathi run} runs it, with an engine that is paced, so that generations
 * are long while the machine is small, and that breaks down when it is told to.
 */
final class InstanceMain {
  private InstanceMain() {}

  /**
   * @param arguments the properties file, the file whose existence breaks the engine, and the pause
   *     after each iteration in milliseconds
   */
  public static void main(final String[] arguments) throws IOException, InterruptedException {
    ChildJvm.endWithParent();
    final Properties properties = new Properties();
    try (var in = Files.newBufferedReader(Path.of(arguments[0]))) {
      properties.load(in);
    }
    final Path breakage = Path.of(arguments[1]);
    final long pause = Long.parseLong(arguments[2]);
    final Map<String, String> settings = new HashMap<>();
    properties.stringPropertyNames().forEach(n -> settings.put(n, properties.getProperty(n)));
    final Application application =
        ApplicationOf.engine(
            settings,
            config ->
                GenerationEngine.start(
                    config,
                    iteration -> {
                      if (Files.exists(breakage)) {
                        // An observer's exception would only end the observer.
                        throw new EngineBreakage();
                      }
                      pause(pause);
                    }));
    Runtime.getRuntime().addShutdownHook(Thread.ofPlatform().unstarted(application::close));
    System.exit(application.awaitStop() ? 0 : 1);
  }

  private static void pause(final long millis) {
    try {
      Thread.sleep(millis);
    } catch (final InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** What the engine's thread dies of. */
  private static final class EngineBreakage extends Error {
    private EngineBreakage() {
      super("the campaign breaks the engine");
    }
  }
}
