package dev.sarathi.streams.cli;

import java.io.IOException;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.config.provider.DirectoryConfigProvider;
import org.apache.kafka.common.config.provider.EnvVarConfigProvider;
import org.apache.kafka.common.config.provider.FileConfigProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/** The files that an application is configured by, and the environment, which overrides them. */
final class PropertiesFile {
  /** What makes a reference such as <code>${env:NAME}</code> work without being asked for. */
  private static final Map<String, String> PROVIDERS =
      Map.of(
          "config.providers", "env,file,directory",
          "config.providers.env.class", EnvVarConfigProvider.class.getName(),
          "config.providers.file.class", FileConfigProvider.class.getName(),
          "config.providers.directory.class", DirectoryConfigProvider.class.getName());

  private PropertiesFile() {}

  /**
   * @param files of which a later one overrides an earlier one
   * @param option that names them
   * @throws ParameterException if one cannot be read
   */
  static Map<String, Object> read(
      final List<Path> files, final String option, final CommandSpec command) {
    final Map<String, Object> settings = new HashMap<>();
    files.forEach(file -> settings.putAll(read(file, option, command)));
    return settings;
  }

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
    override(map);
    return map;
  }

  /** Puts in what the environment says, and whence a value may come that is not written out. */
  static void override(final Map<String, Object> settings) {
    settings.putAll(EnvironmentSettings.of(System.getenv()));
    provide(settings);
  }

  /** Puts in whence a value may come that is not written out. */
  static void provide(final Map<String, Object> settings) {
    if (!settings.containsKey("config.providers")) {
      settings.putAll(PROVIDERS);
    }
  }
}
