package dev.sarathi.connect;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;

/** The version of the plugins, written down by the build. */
final class PluginVersion {
  static final String VALUE = read();

  private PluginVersion() {}

  private static String read() {
    final Properties properties = new Properties();
    try (InputStream in = PluginVersion.class.getResourceAsStream("version.properties")) {
      properties.load(in);
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
    return properties.getProperty("version");
  }
}
