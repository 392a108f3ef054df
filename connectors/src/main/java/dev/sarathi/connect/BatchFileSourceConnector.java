package dev.sarathi.connect;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.common.config.Config;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigValue;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.source.ExactlyOnceSupport;
import org.apache.kafka.connect.source.SourceConnector;

/**
 * Turns OpenAI batch files (JSON lines) into prompt requests.
 *
 * <p>The files of a directory are divided among the tasks by name. Each is read once as a whole,
 * for its fingerprint and its number of lines, and then line by line. A line that is no request
 * becomes an error among the completions, where its result is looked for; no line stops a task.
 */
public final class BatchFileSourceConnector extends SourceConnector {
  private Map<String, String> properties = Map.of();

  @Override
  public void start(final Map<String, String> given) {
    properties = Map.copyOf(given);
  }

  @Override
  public Class<? extends Task> taskClass() {
    return BatchFileSourceTask.class;
  }

  @Override
  public List<Map<String, String>> taskConfigs(final int maxTasks) {
    final Path input = new BatchFileSourceConfig(properties).input();
    final int tasks = Files.isRegularFile(input) ? 1 : maxTasks;
    return IntStream.range(0, tasks).mapToObj(task -> taskConfig(task, tasks)).toList();
  }

  private Map<String, String> taskConfig(final int task, final int tasks) {
    final Map<String, String> config = new HashMap<>(properties);
    config.put(BatchFileSourceConfig.TASK, Integer.toString(task));
    config.put(BatchFileSourceConfig.TASKS, Integer.toString(tasks));
    return config;
  }

  @Override
  public void stop() {}

  @Override
  public ConfigDef config() {
    return BatchFileSourceConfig.DEFINITION;
  }

  @Override
  public Config validate(final Map<String, String> given) {
    final Config config = super.validate(given);
    for (final ConfigValue value : config.configValues()) {
      if (value.name().equals(BatchFileSourceConfig.INPUT_PATH)
          && value.errorMessages().isEmpty()
          && !Files.isReadable(Path.of((String) value.value()))) {
        value.addErrorMessage(
            "%s is %s, which this worker cannot read; valid is a directory or a file"
                .formatted(value.name(), value.value()));
      }
    }
    return config;
  }

  /** The offsets say exactly which lines were sent, so the worker's transactions suffice. */
  @Override
  public ExactlyOnceSupport exactlyOnceSupport(final Map<String, String> given) {
    return ExactlyOnceSupport.SUPPORTED;
  }

  @Override
  public boolean alterOffsets(
      final Map<String, String> given, final Map<Map<String, ?>, Map<String, ?>> offsets) {
    offsets.forEach(SourceOffset::validate);
    return true;
  }

  @Override
  public String version() {
    return PluginVersion.VALUE;
  }
}
