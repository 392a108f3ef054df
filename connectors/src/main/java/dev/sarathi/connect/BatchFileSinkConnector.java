package dev.sarathi.connect;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.common.config.Config;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigValue;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.sink.SinkConnector;

/**
 * Turns completions into result files: for each file that {@link BatchFileSourceConnector} has read
 * one of results and one of errors, complete and without duplicates whatever happens in between.
 */
public final class BatchFileSinkConnector extends SinkConnector {
  private Map<String, String> properties = Map.of();

  @Override
  public void start(final Map<String, String> given) {
    properties = Map.copyOf(given);
  }

  @Override
  public Class<? extends Task> taskClass() {
    return BatchFileSinkTask.class;
  }

  @Override
  public List<Map<String, String>> taskConfigs(final int maxTasks) {
    return IntStream.range(0, maxTasks).mapToObj(task -> properties).toList();
  }

  @Override
  public void stop() {}

  @Override
  public ConfigDef config() {
    return BatchFileSinkConfig.DEFINITION;
  }

  @Override
  public Config validate(final Map<String, String> given) {
    final Config config = super.validate(given);
    for (final ConfigValue value : config.configValues()) {
      if (value.name().equals(BatchFileSinkConfig.OUTPUT_DIRECTORY)
          && value.errorMessages().isEmpty()
          && isNoDirectory(Path.of((String) value.value()))) {
        value.addErrorMessage(
            "%s is %s, which is no directory that this worker can write into"
                .formatted(value.name(), value.value()));
      }
    }
    return config;
  }

  private static boolean isNoDirectory(final Path path) {
    return Files.exists(path) && !(Files.isDirectory(path) && Files.isWritable(path));
  }

  /** Results are where the files say, not where offsets do: any offset may be read again. */
  @Override
  public boolean alterOffsets(
      final Map<String, String> given,
      final Map<org.apache.kafka.common.TopicPartition, Long> offsets) {
    return true;
  }

  @Override
  public String version() {
    return PluginVersion.VALUE;
  }
}
