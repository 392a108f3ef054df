package dev.sarathi.streams.cli;

import dev.sarathi.streams.SarathiConfig;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * Settings by environment variables: {@code SARATHI_TOKEN_BUDGET} is {@code sarathi.token.budget},
 * {@code KAFKA_BOOTSTRAP_SERVERS} is {@code bootstrap.servers}. In a name {@code _} stands for a
 * dot, {@code __} for an underscore and {@code ___} for a hyphen.
 */
final class EnvironmentSettings {
  private static final String OURS = "SARATHI_";
  private static final String KAFKAS = "KAFKA_";

  /** What the launchers read, and what Kafka's own scripts do. */
  private static final Set<String> NO_SETTINGS =
      Set.of(
          "SARATHI_JAVA_OPTS",
          "SARATHI_MAVEN_REPO",
          "SARATHI_SKIP_BUILD",
          "SARATHI_LOG_LEVEL",
          "SARATHI_STACKTRACE",
          "KAFKA_HOME",
          "KAFKA_OPTS",
          "KAFKA_HEAP_OPTS",
          "KAFKA_JMX_OPTS",
          "KAFKA_LOG4J_OPTS",
          "KAFKA_GC_LOG_OPTS",
          "KAFKA_JVM_PERFORMANCE_OPTS");

  /** Kubernetes puts the addresses of services into variables that begin with their names. */
  private static final Pattern SERVICE_LINK =
      Pattern.compile(
          "\\w+_(SERVICE_HOST|SERVICE_PORT(_\\w+)?|PORT(_\\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)");

  private EnvironmentSettings() {}

  /**
   * The settings among the variables of an environment. A misspelt {@code SARATHI_} variable is
   * one, which {@link SarathiConfig} refuses.
   */
  static Map<String, String> of(final Map<String, String> variables) {
    final Map<String, String> settings = new TreeMap<>();
    variables.forEach(
        (variable, value) -> {
          if (!NO_SETTINGS.contains(variable) && !SERVICE_LINK.matcher(variable).matches()) {
            if (variable.startsWith(OURS)) {
              settings.put("sarathi." + setting(variable, OURS), value.trim());
            } else if (variable.startsWith(KAFKAS)) {
              settings.put(setting(variable, KAFKAS), value.trim());
            }
          }
        });
    return settings;
  }

  private static String setting(final String variable, final String prefix) {
    return variable
        .substring(prefix.length())
        .toLowerCase(Locale.ROOT)
        .replace("___", "-")
        .replace("__", "\0")
        .replace('_', '.')
        .replace('\0', '_');
  }
}
