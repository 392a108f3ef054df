package dev.sarathi.runtime.text;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** Reads a text file of a model, with the file's name in every error. */
final class ModelText {
  private ModelText() {}

  /** Where a parser gave up, if it knows. */
  static String line(final JsonProcessingException e) {
    return e.getLocation() == null ? "" : " (line %d)".formatted(e.getLocation().getLineNr());
  }

  static String read(final Path path, final long maxBytes) {
    try {
      // A device or a pipe has no length, and might never end.
      if (Files.exists(path) && !Files.isRegularFile(path)) {
        throw new TokenizerException(path + ": not a regular file");
      }
      final long bytes = Files.size(path);
      if (bytes > maxBytes) {
        throw new TokenizerException(
            "%s: %,d bytes; at most %,d are read".formatted(path, bytes, maxBytes));
      }
      return Files.readString(path);
    } catch (final NoSuchFileException e) {
      throw new TokenizerException(
          path + ": no such file; a model directory in Hugging Face's layout holds one", e);
    } catch (final CharacterCodingException e) {
      throw new TokenizerException(path + ": not UTF-8", e);
    } catch (final IOException e) {
      throw new TokenizerException(path + ": cannot be read: " + e, e);
    }
  }
}
