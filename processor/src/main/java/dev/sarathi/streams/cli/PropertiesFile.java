package dev.sarathi.streams.cli;

import java.io.IOException;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/** The file that an application is configured by. */
final class PropertiesFile {
  private PropertiesFile() {}

  /**
   * @param option that names the file
   * @throws ParameterException if it cannot be read
   */
  static Map<String, Object> read(final Path file, final String option, final CommandSpec command) {
    final Properties properties = new Properties();
    try (Reader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
      properties.load(reader);
    } catch (final IOException | IllegalArgumentException e) {
      throw new ParameterException(
          command.commandLine(), option + " " + file + " cannot be read: " + e, e);
    }
    final Map<String, Object> map = new HashMap<>();
    properties
        .stringPropertyNames()
        .forEach(name -> map.put(name, properties.getProperty(name).trim()));
    return map;
  }
}
