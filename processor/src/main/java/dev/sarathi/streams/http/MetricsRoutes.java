package dev.sarathi.streams.http;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sarathi.streams.SarathiConfig;
import dev.sarathi.streams.metrics.ApplicationMetrics;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.types.Password;

/**
 * What an instance tells those who watch it.
 *
 * <table>
 * <caption>Routes</caption>
 * <tr><td>{@code /metrics}</td><td>every meter, in Prometheus' text format</td></tr>
 * <tr><td>{@code /config}</td><td>the configuration in force, secrets masked</td></tr>
 * </table>
 *
 * <p>Threading: any thread.
 */
public final class MetricsRoutes {
  private static final String MASK = "[hidden]";

  /** Whatever a plugin calls its secrets; rather one setting too many than one too few. */
  private static final Pattern SECRET =
      Pattern.compile(
          "password|passwd|passphrase|secret|credential|token$|token[._-]|apikey|api[._-]key"
              + "|jaas|user[._-]?info|private[._-]?key|keystore[._-]key|certificate",
          Pattern.CASE_INSENSITIVE);

  /** Credentials inside an address, such as a registry's. */
  private static final Pattern USER_INFO = Pattern.compile("(?<=://)[^/\\s,]+@");

  private static final ConfigDef[] DEFINITIONS = {
    ConsumerConfig.configDef(), ProducerConfig.configDef(), AdminClientConfig.configDef()
  };

  private final ApplicationMetrics metrics;
  private final SarathiConfig config;

  public MetricsRoutes(final ApplicationMetrics metrics, final SarathiConfig config) {
    this.metrics = metrics;
    this.config = config;
  }

  /** Adds these routes to others. */
  public Router addTo(final Router router) {
    return router.get("/metrics", query -> metrics()).get("/config", query -> config());
  }

  private Answer metrics() {
    return Answer.of(
        200, ApplicationMetrics.CONTENT_TYPE, metrics.scrape().getBytes(StandardCharsets.UTF_8));
  }

  private Answer config() {
    final ObjectNode answer = JsonNodeFactory.instance.objectNode();
    final Map<String, Object> settings = new TreeMap<>(config.values());
    settings.putAll(config.streams());
    shown(settings).forEach(answer::put);
    return Answer.json(answer);
  }

  /** Settings as text, what may be a secret hidden. */
  static Map<String, String> shown(final Map<String, ?> settings) {
    final Map<String, String> shown = new TreeMap<>();
    settings.forEach(
        (name, value) ->
            shown.put(
                name,
                isSecret(name, value)
                    ? MASK
                    : USER_INFO.matcher(text(value)).replaceAll(MASK + "@")));
    return shown;
  }

  private static boolean isSecret(final String name, final Object value) {
    if (value instanceof Password || isPassword(name)) {
      return true;
    }
    return !name.startsWith("sarathi.") && SECRET.matcher(name).find();
  }

  /** Whether Kafka's clients take it for a password, also under a prefix of one client. */
  private static boolean isPassword(final String name) {
    for (final ConfigDef definition : DEFINITIONS) {
      for (final ConfigDef.ConfigKey key : definition.configKeys().values()) {
        if (key.type == ConfigDef.Type.PASSWORD
            && (name.equals(key.name) || name.endsWith("." + key.name))) {
          return true;
        }
      }
    }
    return false;
  }

  private static String text(final Object value) {
    return value instanceof Class<?> type ? type.getName() : String.valueOf(value);
  }
}
