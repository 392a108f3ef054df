package dev.sarathi.runtime.trace;

import dev.sarathi.runtime.EngineConfig;

/**
 * The first line of a trace: what the iterations after it were made with.
 *
 * @param format {@link #FORMAT}
 */
public record TraceHeader(
    String format, String model, String policy, String tokenBudget, int maxSequences) {

  /** Names the format and its version. */
  public static final String FORMAT = "sarathi-iterations-1";

  static TraceHeader of(final EngineConfig config) {
    return new TraceHeader(
        FORMAT,
        config.model().toAbsolutePath().normalize().getFileName().toString(),
        config.policy(),
        config.tokenBudget().toString(),
        config.maxSequences());
  }
}
