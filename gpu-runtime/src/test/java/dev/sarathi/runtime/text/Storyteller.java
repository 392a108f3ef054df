package dev.sarathi.runtime.text;

import java.net.URISyntaxException;
import java.nio.file.Path;

/** The tokenizer of the bundled model: byte-level BPE with few merges beyond English. */
final class Storyteller {
  static final Path DIRECTORY = directory();
  static final Tokenizer TOKENIZER = Tokenizer.open(DIRECTORY);

  private Storyteller() {}

  private static Path directory() {
    try {
      return Path.of(Storyteller.class.getResource("/tokenizer/storyteller").toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }
}
