package dev.sarathi.streams.application;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.streams.SarathiConfig;
import io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException;
import java.io.EOFException;
import java.net.ConnectException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.net.ssl.SSLHandshakeException;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.errors.GroupAuthorizationException;
import org.apache.kafka.common.errors.SaslAuthenticationException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.errors.TransactionalIdAuthorizationException;
import org.apache.kafka.streams.errors.StreamsException;
import org.junit.jupiter.api.Test;

class AccessTest {
  private final Access access = access();

  @Test
  void shouldNameWhatIsMissingForAllTopicsAtOnce() {
    assertThat(
            access.missing(
                List.of(
                    topic("prompts", Set.of(AclOperation.READ, AclOperation.DESCRIBE)),
                    topic("tokens", Set.of(AclOperation.DESCRIBE)),
                    topic("completions", Set.of(AclOperation.WRITE)),
                    topic("jobs", null))))
        .contains(
            "not authorized as User:app: grant WRITE on topic prompts, WRITE on topic tokens");
  }

  @Test
  void shouldNameTheRightThatAFailureAsksFor() {
    assertThat(refusal(new TopicAuthorizationException(Set.of("tokens"))))
        .isEqualTo("not authorized for topic tokens as User:app: grant WRITE on topic tokens");
    assertThat(refusal(new TopicAuthorizationException(Set.of("stories-x-changelog"))))
        .endsWith("grant READ, WRITE, CREATE on topics prefixed stories-");
    assertThat(refusal(GroupAuthorizationException.forGroupId("stories")))
        .endsWith("grant READ on group stories");
    assertThat(refusal(new TransactionalIdAuthorizationException("no")))
        .endsWith("grant WRITE on transactional ids prefixed stories-");
    assertThat(refusal(new SaslAuthenticationException("no")))
        .contains("User:app", "sasl.jaas.config")
        .doesNotContain("hunter2");
  }

  @Test
  void shouldLeaveOtherFailuresAlone() {
    assertThat(access.refusal(new StreamsException(new TimeoutException("late")))).isEmpty();
    assertThat(access.refusalByRegistry(new ConnectException("refused"))).isEmpty();
    assertThat(access.refusalByRegistry(new RestClientException("broken", 500, 500))).isEmpty();
    assertThat(
            access.refusalByRegistry(
                new SSLHandshakeException("it terminated the handshake", new EOFException())))
        .isEmpty();
  }

  @Test
  void shouldNameTheSettingsThatTheRegistryRefuses() {
    assertThat(access.refusalByRegistry(new RestClientException("Unauthorized", 401, 401)))
        .get()
        .asString()
        .contains("https://registry:8081", "basic.auth.user.info (given)")
        .doesNotContain("hunter2");
    assertThat(access.refusalByRegistry(new RuntimeException(new SSLHandshakeException("PKIX"))))
        .get()
        .asString()
        .contains("PKIX", "schema.registry.ssl.truststore.location=/trust");
  }

  private String refusal(final RuntimeException failure) {
    return access.refusal(new StreamsException("a task failed", failure)).orElseThrow();
  }

  private static TopicDescription topic(final String name, final Set<AclOperation> operations) {
    return new TopicDescription(name, false, List.of(), operations);
  }

  private static Access access() {
    final Map<String, String> settings = new HashMap<>();
    settings.put("sarathi.model", "m");
    settings.put("application.id", "stories");
    settings.put("bootstrap.servers", "kafka:9093");
    settings.put("sasl.jaas.config", "Scram required username=\"app\" password=\"hunter2\";");
    settings.put("schema.registry.url", "https://me:hunter2@registry:8081");
    settings.put("schema.registry.ssl.truststore.location", "/trust");
    final SarathiConfig config = SarathiConfig.of(settings);
    return new Access(config, config.streams());
  }
}
