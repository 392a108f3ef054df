package dev.sarathi.connect;

import java.util.List;
import org.apache.kafka.common.config.ConfigDef;

/** Settings that a user interface shows together, in the order in which they are added. */
final class Group {
  private static final ConfigDef.Recommender NONE = Choice.of();

  private final ConfigDef definition;
  private final String name;
  private int order;

  Group(final ConfigDef definition, final String name) {
    this.definition = definition;
    this.name = name;
  }

  void add(
      final String setting,
      final ConfigDef.Type type,
      final Object defaultValue,
      final ConfigDef.Validator validator,
      final ConfigDef.Importance importance,
      final String documentation) {
    add(setting, type, defaultValue, validator, importance, documentation, List.of(), NONE);
  }

  void add(
      final String setting,
      final ConfigDef.Type type,
      final Object defaultValue,
      final ConfigDef.Validator validator,
      final ConfigDef.Importance importance,
      final String documentation,
      final List<String> dependents,
      final ConfigDef.Recommender recommender) {
    definition.define(
        setting,
        type,
        defaultValue,
        validator,
        importance,
        documentation,
        name,
        order++,
        type == ConfigDef.Type.STRING ? ConfigDef.Width.LONG : ConfigDef.Width.SHORT,
        displayName(setting),
        dependents,
        recommender);
  }

  private static String displayName(final String setting) {
    final String words = setting.replace('.', ' ');
    return Character.toUpperCase(words.charAt(0)) + words.substring(1);
  }
}
