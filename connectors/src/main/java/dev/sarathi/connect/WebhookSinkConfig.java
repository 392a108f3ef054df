package dev.sarathi.connect;

import java.net.URI;
import java.util.Map;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigDef.Importance;
import org.apache.kafka.common.config.ConfigDef.Type;
import org.apache.kafka.common.config.ConfigException;

/** The settings of {@link WebhookSinkConnector}. */
final class WebhookSinkConfig extends AbstractConfig {
  static final String URL = "webhook.url";
  static final String AUTHORIZATION = "webhook.authorization";
  static final String TIMEOUT_MS = "webhook.timeout.ms";
  static final String MAX_ATTEMPTS = "webhook.max.attempts";
  static final String BACKOFF_MS = "webhook.backoff.ms";
  static final String BACKOFF_MAX_MS = "webhook.backoff.max.ms";

  static final ConfigDef DEFINITION = definition();

  WebhookSinkConfig(final Map<String, String> properties) {
    super(DEFINITION, properties, false);
  }

  URI url() {
    return URI.create(getString(URL));
  }

  private static ConfigDef definition() {
    final ConfigDef definition = new ConfigDef();
    final Group target = new Group(definition, "Target");
    target.add(
        URL,
        Type.STRING,
        ConfigDef.NO_DEFAULT_VALUE,
        ConfigDef.LambdaValidator.with(
            (name, value) -> requireHttp(name, (String) value), () -> "http or https URL"),
        Importance.HIGH,
        "Where each completion is posted.");
    target.add(
        AUTHORIZATION,
        Type.PASSWORD,
        "",
        null,
        Importance.MEDIUM,
        "The value of the header Authorization; empty to send none.");
    final Group retries = new Group(definition, "Retries");
    retries.add(
        TIMEOUT_MS,
        Type.LONG,
        10_000L,
        ConfigDef.Range.atLeast(1),
        Importance.MEDIUM,
        "How long to wait for an answer.");
    retries.add(
        MAX_ATTEMPTS,
        Type.INT,
        8,
        ConfigDef.Range.atLeast(1),
        Importance.MEDIUM,
        "How often a completion is posted before it goes to the dead letters.");
    retries.add(
        BACKOFF_MS,
        Type.LONG,
        500L,
        ConfigDef.Range.atLeast(1),
        Importance.LOW,
        "The wait before the second attempt; it doubles with each further one.");
    retries.add(
        BACKOFF_MAX_MS,
        Type.LONG,
        60_000L,
        ConfigDef.Range.atLeast(1),
        Importance.LOW,
        "The longest wait between attempts.");
    return definition;
  }

  private static void requireHttp(final String name, final String url) {
    try {
      final URI uri = URI.create(url);
      if (uri.getHost() != null
          && ("http".equals(uri.getScheme()) || "https".equals(uri.getScheme()))) {
        return;
      }
    } catch (final IllegalArgumentException e) {
      throw new ConfigException(name, url, "is no URL: " + e.getMessage());
    }
    throw new ConfigException(name, url, "is no http or https URL");
  }
}
