package dev.sarathi.runtime.text;

import dev.sarathi.runtime.fuzz.ScratchFile;

/**
 * A {@code tokenizer.json}, up to the native library and no further: a panic in there ends the
 * process. The checks fuzzed here are what keeps known ones from it.
 */
public final class TokenizerFuzz {
  private static final ScratchFile FILE = new ScratchFile("tokenizer.json");

  private TokenizerFuzz() {}

  public static void fuzzerTestOneInput(final byte[] input) {
    FILE.write(input);
    try {
      TokenizerFile.read(FILE.path());
    } catch (final TokenizerException e) {
      FILE.mustBeNamedBy(e);
    }
  }
}
