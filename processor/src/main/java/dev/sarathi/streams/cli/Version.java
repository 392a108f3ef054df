package dev.sarathi.streams.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;
import picocli.CommandLine.IVersionProvider;

/** The version, as Maven notes it in the jar. */
final class Version implements IVersionProvider {
  private static final String NOTE = "/META-INF/maven/dev.sarathi/processor/pom.properties";

  @Override
  public String[] getVersion() {
    return new String[] {"Sarathi Streams " + number()};
  }

  static String number() {
    try (InputStream note = Version.class.getResourceAsStream(NOTE)) {
      final Properties properties = new Properties();
      if (note != null) {
        properties.load(note);
      }
      return properties.getProperty("version", "(not from a jar)");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
