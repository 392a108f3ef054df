package dev.sarathi.runtime.text;

import ai.djl.engine.EngineException;
import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Loads Hugging Face's native tokenizers, once for the JVM. DJL's loader is steered by system
 * properties that are set only while it runs, so that an application around this one keeps its own
 * DJL settings; a variable of the environment with the same name wins over them.
 *
 * <p>The callers use {@link TokenizersLibrary} itself because {@code HuggingFaceTokenizer} reports
 * to a telemetry address when it finds itself in a cloud.
 */
final class NativeTokenizers {
  private static final Logger log = LoggerFactory.getLogger(NativeTokenizers.class);

  private static TokenizersLibrary library;

  private NativeTokenizers() {}

  /** The library, loaded by the first call; any thread. */
  static synchronized TokenizersLibrary library() {
    if (library == null) {
      library = load();
    }
    return library;
  }

  private static TokenizersLibrary load() {
    final Map<String, String> settings = new HashMap<>();
    // Where the loader finds CUDA it would otherwise download a library.
    settings.put("RUST_FLAVOR", "cpu");
    Path unpacked = null;
    try {
      if (!hasCacheDirectory()) {
        unpacked = Files.createTempDirectory("sarathi-tokenizers");
        settings.put("ENGINE_CACHE_DIR", unpacked.toString());
      }
      settings.keySet().removeIf(NativeTokenizers::isSet);
      settings.forEach(System::setProperty);
      LibUtils.checkStatus();
      return TokenizersLibrary.LIB;
    } catch (EngineException | LinkageError | IOException e) {
      throw new TokenizerException(
          "The native tokenizer library for %s on %s cannot be loaded from %s"
              .formatted(
                  System.getProperty("os.name"),
                  System.getProperty("os.arch"),
                  unpacked == null ? "DJL's cache directory" : unpacked),
          e);
    } finally {
      settings.keySet().forEach(System::clearProperty);
      delete(unpacked);
    }
  }

  /**
   * Whether the loader has a directory to unpack to: the one it was told, or else one in the home
   * directory. Its own last resort, a fixed name under the directory for temporary files, is not
   * taken: another user of the machine could have put a library there.
   */
  private static boolean hasCacheDirectory() {
    if (isSet("ENGINE_CACHE_DIR") || isSet("DJL_CACHE_DIR")) {
      return true;
    }
    final Path home = Path.of(System.getProperty("user.home"));
    if (!Files.isWritable(home)) {
      return false;
    }
    try {
      return Files.isWritable(Files.createDirectories(home.resolve(".djl.ai", "tokenizers")));
    } catch (IOException e) {
      log.debug("No cache directory in {}", home, e);
      return false;
    }
  }

  private static boolean isSet(final String name) {
    final String value = System.getenv(name);
    return value != null || System.getProperty(name) != null;
  }

  private static void delete(final Path directory) {
    if (directory == null) {
      return;
    }
    // A library that is loaded stays usable without its file, except on Windows.
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    } catch (IOException e) {
      log.debug("The unpacked tokenizer library stays in {}", directory, e);
    }
  }
}
