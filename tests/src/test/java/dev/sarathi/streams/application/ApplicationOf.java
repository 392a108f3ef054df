package dev.sarathi.streams.application;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.GenerationEngine;
import java.util.Map;
import java.util.function.Function;

/** An application around an engine of the test's own. */
public final class ApplicationOf {
  private ApplicationOf() {}

  /** Starts it as {@link Application#start} does; it closes the engine. */
  public static Application engine(
      final Map<String, ?> properties, final Function<EngineConfig, GenerationEngine> engine) {
    return Application.start(properties, (config, observers) -> engine.apply(config));
  }
}
