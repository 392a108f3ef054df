package dev.sarathi.runtime.model;

import dev.sarathi.runtime.fuzz.ScratchFile;

/** A model's {@code config.json}. */
public final class ConfigFuzz {
  private static final ScratchFile FILE = new ScratchFile("config.json");

  private ConfigFuzz() {}

  public static void fuzzerTestOneInput(final byte[] input) {
    FILE.write(input);
    try {
      ModelConfig.read(FILE.path());
    } catch (final ModelFormatException e) {
      FILE.mustBeNamedBy(e);
    }
  }
}
