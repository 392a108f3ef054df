package dev.sarathi.connect;

import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.sink.SinkConnector;

/**
 * Posts each completion to a URL, at least once: the header {@code Idempotency-Key} is the
 * request's id, by which a receiver knows a repetition.
 */
public final class WebhookSinkConnector extends SinkConnector {
  private Map<String, String> properties = Map.of();

  @Override
  public void start(final Map<String, String> given) {
    properties = Map.copyOf(given);
  }

  @Override
  public Class<? extends Task> taskClass() {
    return WebhookSinkTask.class;
  }

  @Override
  public List<Map<String, String>> taskConfigs(final int maxTasks) {
    return IntStream.range(0, maxTasks).mapToObj(task -> properties).toList();
  }

  @Override
  public void stop() {}

  @Override
  public ConfigDef config() {
    return WebhookSinkConfig.DEFINITION;
  }

  @Override
  public boolean alterOffsets(
      final Map<String, String> given, final Map<TopicPartition, Long> offsets) {
    return true;
  }

  @Override
  public String version() {
    return PluginVersion.VALUE;
  }
}
