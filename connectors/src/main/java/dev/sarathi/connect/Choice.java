package dev.sarathi.connect;

import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;

/** Recommends some values, always. */
record Choice(List<Object> values) implements ConfigDef.Recommender {
  static Choice of(final Object... values) {
    return new Choice(List.of(values));
  }

  @Override
  public List<Object> validValues(final String name, final Map<String, Object> config) {
    return values;
  }

  @Override
  public boolean visible(final String name, final Map<String, Object> config) {
    return true;
  }
}
