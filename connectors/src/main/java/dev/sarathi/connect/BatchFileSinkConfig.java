package dev.sarathi.connect;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigDef.Importance;
import org.apache.kafka.common.config.ConfigDef.Type;

/** The settings of {@link BatchFileSinkConnector}. */
final class BatchFileSinkConfig extends AbstractConfig {
  static final String OUTPUT_DIRECTORY = "output.directory";
  static final String OUTPUT_FORMAT = "output.format";
  static final String FLUSH_INTERVAL_MS = "flush.interval.ms";
  static final String FLUSH_BYTES = "flush.bytes";
  static final String BATCH = "batch";
  static final String COMPLETIONS = "completions";

  static final ConfigDef DEFINITION = definition();

  BatchFileSinkConfig(final Map<String, String> properties) {
    super(DEFINITION, properties, false);
  }

  Path outputDirectory() {
    return Path.of(getString(OUTPUT_DIRECTORY)).toAbsolutePath().normalize();
  }

  private static ConfigDef definition() {
    final ConfigDef definition = new ConfigDef();
    final Group output = new Group(definition, "Output");
    output.add(
        OUTPUT_DIRECTORY,
        Type.STRING,
        ConfigDef.NO_DEFAULT_VALUE,
        new ConfigDef.NonEmptyString(),
        Importance.HIGH,
        "Where the result files go: a directory that all tasks share. Made if absent.");
    output.add(
        OUTPUT_FORMAT,
        Type.STRING,
        BATCH,
        ConfigDef.ValidString.in(BATCH, COMPLETIONS),
        Importance.HIGH,
        "`batch`: an output and an error file for each input file, in OpenAI's format, once the last"
            + " of its lines is answered. `completions`: every completion as it is, as JSON lines, in"
            + " files named by topic, partition and first offset.",
        List.of(),
        Choice.of(BATCH, COMPLETIONS));
    output.add(
        FLUSH_INTERVAL_MS,
        Type.LONG,
        5000L,
        ConfigDef.Range.atLeast(10),
        Importance.MEDIUM,
        "How often what came is written down and its offsets committed.");
    output.add(
        FLUSH_BYTES,
        Type.INT,
        8 << 20,
        ConfigDef.Range.atLeast(1),
        Importance.LOW,
        "Writes earlier once a task holds so many characters of results.");
    return definition;
  }
}
