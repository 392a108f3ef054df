package dev.sarathi.tests;

import java.util.List;
import java.util.Map;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler;

/**
 * How a broker checks tokens: as Kafka does, with the keys of a file, which only a system property
 * of its JVM can allow.
 */
public final class TokenValidator extends OAuthBearerValidatorCallbackHandler {
  @Override
  public void configure(
      final Map<String, ?> settings,
      final String mechanism,
      final List<AppConfigurationEntry> entries) {
    System.setProperty(
        "org.apache.kafka.sasl.oauthbearer.allowed.urls",
        settings.get("sasl.oauthbearer.jwks.endpoint.url").toString());
    super.configure(settings, mechanism, entries);
  }
}
