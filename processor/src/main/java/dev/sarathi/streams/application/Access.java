package dev.sarathi.streams.application;

import dev.sarathi.streams.SarathiConfig;
import io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException;
import java.io.EOFException;
import java.io.InterruptedIOException;
import java.net.SocketException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import javax.net.ssl.SSLException;
import javax.security.auth.login.LoginException;
import org.apache.kafka.clients.CommonClientConfigs;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.config.SaslConfigs;
import org.apache.kafka.common.errors.AuthenticationException;
import org.apache.kafka.common.errors.ClusterAuthorizationException;
import org.apache.kafka.common.errors.GroupAuthorizationException;
import org.apache.kafka.common.errors.SslAuthenticationException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.errors.TransactionalIdAuthorizationException;
import org.apache.kafka.streams.StreamsConfig;

/**
 * What the application must be allowed to do, and, of a failure that says it is not, what an
 * operator has to change. No secret is in what it says.
 *
 * <p>Threading: immutable.
 */
final class Access {
  /** An address may begin with a user and a password. */
  private static final Pattern USER_INFO = Pattern.compile("(?<=//)[^/\\s,]*@");

  private static final Pattern USER_NAME = Pattern.compile("\\busername\\s*=\\s*\"?([^\"\\s;]+)");

  private final Map<String, ?> client;
  private final String brokers;
  private final String group;
  private final String registry;

  /** By topic: what is done with it beside asking what it is. */
  private final Map<String, Set<AclOperation>> topics = new LinkedHashMap<>();

  /**
   * @param client as {@link SarathiConfig#streams()} has it
   */
  Access(final SarathiConfig config, final Map<String, ?> client) {
    this.client = client;
    this.brokers = setting(CommonClientConfigs.BOOTSTRAP_SERVERS_CONFIG);
    this.group = setting(StreamsConfig.APPLICATION_ID_CONFIG);
    this.registry = withoutSecret(setting("schema.registry.url"));
    // The fence is a record to the topic that is read.
    topics.put(
        config.getString(SarathiConfig.PROMPTS_TOPIC_CONFIG),
        EnumSet.of(AclOperation.READ, AclOperation.WRITE));
    for (final String output :
        List.of(
            SarathiConfig.TOKENS_TOPIC_CONFIG,
            SarathiConfig.COMPLETIONS_TOPIC_CONFIG,
            SarathiConfig.JOBS_TOPIC_CONFIG,
            SarathiConfig.DEAD_LETTERS_TOPIC_CONFIG)) {
      if (!config.getString(output).isEmpty()) {
        topics.put(config.getString(output), EnumSet.of(AclOperation.WRITE));
      }
    }
  }

  /** The topics that the application reads or writes, its changelogs apart. */
  List<String> topics() {
    return List.copyOf(topics.keySet());
  }

  /** A text without the credentials of the addresses in it. */
  static String withoutSecret(final String text) {
    return USER_INFO.matcher(text).replaceAll("");
  }

  /**
   * What is missing for all of the topics at once, so that one start tells all of it.
   *
   * @param described with the operations that are allowed; where a broker has not told them,
   *     nothing is missing
   */
  Optional<String> missing(final Collection<TopicDescription> described) {
    final List<String> grants = new ArrayList<>();
    for (final TopicDescription topic : described) {
      final Set<AclOperation> allowed = topic.authorizedOperations();
      if (allowed != null && !allowed.isEmpty()) {
        final Set<AclOperation> lacking = EnumSet.copyOf(topics.get(topic.name()));
        lacking.removeAll(allowed);
        if (!lacking.isEmpty()) {
          grants.add("%s on topic %s".formatted(names(lacking), topic.name()));
        }
      }
    }
    return grants.isEmpty()
        ? Optional.empty()
        : Optional.of(
            "not authorized as %s: grant %s".formatted(principal(), String.join(", ", grants)));
  }

  /** Of topics that are not listed and may not be created. */
  String unseen(final Collection<String> names) {
    return ("not authorized as %s to see or create topic %s: grant %s; and CREATE on those that "
            + "do not exist")
        .formatted(principal(), String.join(", ", names), grants(names));
  }

  /** Why the brokers do not let the application in, if that is what a failure says. */
  Optional<String> refusal(final Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      final Optional<String> refusal = refusalBy(cause);
      if (refusal.isPresent()) {
        return refusal;
      }
    }
    return Optional.empty();
  }

  private Optional<String> refusalBy(final Throwable cause) {
    return Optional.ofNullable(
        switch (cause) {
          case SslAuthenticationException e ->
              ("TLS with the brokers at %s failed: %s. Check security.protocol=%s, "
                      + "ssl.truststore.location=%s (whom the application trusts), "
                      + "ssl.keystore.location=%s (who it is)")
                  .formatted(
                      brokers,
                      deepest(e),
                      setting(CommonClientConfigs.SECURITY_PROTOCOL_CONFIG),
                      setting("ssl.truststore.location"),
                      setting("ssl.keystore.location"));
          case AuthenticationException e ->
              "the brokers at %s did not let %s log in: %s. Check sasl.mechanism=%s and %s"
                  .formatted(brokers, principal(), e.getMessage(), mechanism(), credentials());
          case LoginException e ->
              "%s cannot log in to the brokers at %s: %s. Check sasl.mechanism=%s and %s"
                  .formatted(principal(), brokers, deepest(e), mechanism(), credentials());
          case TopicAuthorizationException e -> refusal(e);
          case GroupAuthorizationException _ ->
              "not authorized to join group %s as %s: grant READ on group %s"
                  .formatted(group, principal(), group);
          case TransactionalIdAuthorizationException _ ->
              ("not authorized to write in transactions as %s: grant WRITE on "
                      + "transactional ids prefixed %s-")
                  .formatted(principal(), group);
          case ClusterAuthorizationException e ->
              ("not authorized on the cluster as %s: %s; grant IDEMPOTENT_WRITE on the "
                      + "cluster, which brokers before Kafka 2.8 want")
                  .formatted(principal(), e.getMessage());
          default -> null;
        });
  }

  private String refusal(final TopicAuthorizationException refused) {
    if (refused.unauthorizedTopics().isEmpty()) {
      // Those that are named in the settings have been asked for at start.
      return "not authorized for a topic of its own as %s: %s grant %s"
          .formatted(principal(), refused.getMessage(), internal());
    }
    return "not authorized for %s as %s: grant %s"
        .formatted(
            refused.unauthorizedTopics().stream()
                .sorted()
                .collect(Collectors.joining(", ", "topic ", "")),
            principal(),
            grants(refused.unauthorizedTopics()));
  }

  private String grants(final Collection<String> names) {
    return names.stream()
        .sorted()
        .map(
            name ->
                topics.containsKey(name)
                    ? "%s on topic %s".formatted(names(topics.get(name)), name)
                    : internal())
        .distinct()
        .collect(Collectors.joining(", "));
  }

  private String internal() {
    return "READ, WRITE, CREATE on topics prefixed " + group + "-";
  }

  /**
   * Why the schema registry does not let the application in, if a failure says so in a way that
   * another try does not change.
   */
  Optional<String> refusalByRegistry(final Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof RestClientException answer
          && (answer.getStatus() == 401 || answer.getStatus() == 403)) {
        return Optional.of(
            ("the schema registry at %s did not let the application in: HTTP %d, %s. "
                    + "Check basic.auth.credentials.source=%s and basic.auth.user.info (%s)")
                .formatted(
                    registry,
                    answer.getStatus(),
                    withoutSecret(answer.getMessage()),
                    setting("basic.auth.credentials.source"),
                    isGiven("basic.auth.user.info") ? "given" : "not given"));
      }
      if (cause instanceof SSLException && !isCutOff(cause)) {
        return Optional.of(
            ("TLS with the schema registry at %s failed: %s. Check "
                    + "schema.registry.ssl.truststore.location=%s (whom the application trusts), "
                    + "schema.registry.ssl.keystore.location=%s (who it is)")
                .formatted(
                    registry,
                    deepest(cause),
                    setting("schema.registry.ssl.truststore.location"),
                    setting("schema.registry.ssl.keystore.location")));
      }
    }
    return Optional.empty();
  }

  /** Whether the other side went away during the handshake, as one does that starts or stops. */
  private static boolean isCutOff(final Throwable failure) {
    final Throwable cause = RegistryOutage.causeOf(failure);
    return cause instanceof EOFException
        || cause instanceof SocketException
        || cause instanceof InterruptedIOException;
  }

  /** Who the application is to the brokers, as far as its settings say. */
  private String principal() {
    final Matcher user = USER_NAME.matcher(setting(SaslConfigs.SASL_JAAS_CONFIG));
    return user.find() ? "User:" + user.group(1) : "the application's principal";
  }

  private String mechanism() {
    return setting(SaslConfigs.SASL_MECHANISM);
  }

  private String credentials() {
    return mechanism().equals("OAUTHBEARER")
        ? ("sasl.oauthbearer.token.endpoint.url=%s,"
                + " sasl.oauthbearer.client.credentials.client.id and client.secret")
            .formatted(setting(SaslConfigs.SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL))
        : "the user name and password in sasl.jaas.config";
  }

  private boolean isGiven(final String name) {
    return client.containsKey(name) || client.containsKey("schema.registry." + name);
  }

  /** Without credentials by the choice of who calls. */
  private String setting(final String name) {
    final Object value = client.get(name);
    return value == null ? "(not set)" : value.toString();
  }

  private static String names(final Set<AclOperation> operations) {
    return operations.stream().map(AclOperation::name).collect(Collectors.joining(", "));
  }

  /** What it all comes from; the rest of the chain only says that something failed. */
  static String deepest(final Throwable failure) {
    final Throwable cause = RegistryOutage.causeOf(failure);
    return withoutSecret(
        cause.getMessage() == null ? cause.getClass().getName() : cause.getMessage());
  }
}
