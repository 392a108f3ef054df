package dev.sarathi.streams.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Where a command finds its model. */
final class ModelFolder {
  private ModelFolder() {}

  /**
   * @param given what the user asked for, if anything; else the bundled model
   * @throws EnvironmentException if there is no model
   */
  static Path find(final Optional<Path> given) {
    final Path folder =
        given.orElseGet(
            () -> Path.of(System.getProperty("sarathi.home", "."), "models", "storyteller"));
    if (!Files.isRegularFile(folder.resolve("config.json"))) {
      throw new EnvironmentException(
          "there is no model in " + folder + ": a folder with config.json is needed");
    }
    return folder;
  }
}
