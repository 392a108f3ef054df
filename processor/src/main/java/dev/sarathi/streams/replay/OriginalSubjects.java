package dev.sarathi.streams.replay;

import io.confluent.kafka.schemaregistry.ParsedSchema;
import io.confluent.kafka.serializers.subject.TopicNameStrategy;
import io.confluent.kafka.serializers.subject.strategy.SubjectNameStrategy;
import java.lang.reflect.InvocationTargetException;
import java.util.HashMap;
import java.util.Map;

/**
 * Names the registry's subject of a shadow topic as that of the topic it stands for: a replay adds
 * nothing to the registry, and needs no right to. Public, since Confluent's serializers make it by
 * name.
 */
public final class OriginalSubjects implements SubjectNameStrategy {
  /** What the application's own strategy is configured as. */
  static final String STRATEGY = "value.subject.name.strategy";

  /** Where the application's own strategy is kept, if it has one. */
  static final String ORIGINAL_STRATEGY = "replay.subject.name.strategy";

  /** Before the name of a shadow topic, a setting with the name of the original. */
  static final String TOPIC_PREFIX = "replay.topic.";

  private final Map<String, String> topics = new HashMap<>();
  private SubjectNameStrategy original = new TopicNameStrategy();

  @Override
  public void configure(final Map<String, ?> config) {
    config.forEach(
        (name, value) -> {
          if (name.startsWith(TOPIC_PREFIX)) {
            topics.put(name.substring(TOPIC_PREFIX.length()), String.valueOf(value));
          }
        });
    final Object given = config.get(ORIGINAL_STRATEGY);
    if (given != null) {
      original = make(given);
      original.configure(config);
    }
  }

  private static SubjectNameStrategy make(final Object given) {
    try {
      final Class<?> type =
          given instanceof Class<?> named ? named : Class.forName(String.valueOf(given).trim());
      return (SubjectNameStrategy) type.getDeclaredConstructor().newInstance();
    } catch (final ClassNotFoundException
        | NoSuchMethodException
        | InstantiationException
        | IllegalAccessException
        | InvocationTargetException e) {
      throw new IllegalArgumentException(STRATEGY + "=" + given + " cannot be made", e);
    }
  }

  @Override
  public String subjectName(final String topic, final boolean isKey, final ParsedSchema schema) {
    return original.subjectName(topics.getOrDefault(topic, topic), isKey, schema);
  }

  @Override
  public boolean usesSchema() {
    return original.usesSchema();
  }
}
