package dev.sarathi.schemas;

import io.confluent.kafka.schemaregistry.avro.AvroSchema;
import io.confluent.kafka.schemaregistry.avro.AvroSchemaProvider;
import io.confluent.kafka.schemaregistry.avro.AvroSchemaUtils;
import io.confluent.kafka.schemaregistry.client.SchemaRegistryClient;
import io.confluent.kafka.schemaregistry.client.rest.exceptions.RestClientException;
import io.confluent.kafka.schemaregistry.testutil.MockSchemaRegistry;
import io.confluent.kafka.serializers.KafkaAvroDeserializer;
import io.confluent.kafka.serializers.KafkaAvroDeserializerConfig;
import io.confluent.kafka.serializers.KafkaAvroSerializer;
import io.confluent.kafka.serializers.KafkaAvroSerializerConfig;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.specific.SpecificRecord;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;

/**
 * Serdes of record values for the data contracts, over Confluent's {@link KafkaAvroSerializer} and
 * {@link KafkaAvroDeserializer}: any client with a schema registry can read and write the topics.
 *
 * <p>Every factory takes the configuration of Confluent's serializers, of which {@code
 * schema.registry.url} is required, and passes all of it on. It sets two things. Records are read
 * as the generated class, whatever the writer's version. And {@code avro.remove.java.properties} is
 * true unless given, so that the registry holds what {@code src/main/avro} says and nothing that
 * only Java needs.
 *
 * <p>The URL {@code mock://NAME} stands for a registry in this JVM's memory, <em>for development
 * only</em>. Processes that share topics cannot share such a registry, so each factory first
 * registers all contracts in a fixed order: the same schema has the same id in every process that
 * runs the same version of this library.
 *
 * <p>A serde is not thread-safe: one for each client, as usual in Kafka.
 */
public final class SarathiSerdes {

  private SarathiSerdes() {}

  /**
   * For prompt requests.
   *
   * @param config the configuration of Confluent's serializers, with {@code schema.registry.url}
   * @return a serde of prompt requests
   * @throws org.apache.kafka.common.config.ConfigException if {@code config} is invalid
   */
  public static Serde<PromptRequest> promptRequest(final Map<String, ?> config) {
    return serde(PromptRequest.class, config);
  }

  /**
   * For token records.
   *
   * @param config the configuration of Confluent's serializers, with {@code schema.registry.url}
   * @return a serde of token records
   * @throws org.apache.kafka.common.config.ConfigException if {@code config} is invalid
   */
  public static Serde<TokenRecord> tokenRecord(final Map<String, ?> config) {
    return serde(TokenRecord.class, config);
  }

  /**
   * For completions.
   *
   * @param config the configuration of Confluent's serializers, with {@code schema.registry.url}
   * @return a serde of completions
   * @throws org.apache.kafka.common.config.ConfigException if {@code config} is invalid
   */
  public static Serde<Completion> completion(final Map<String, ?> config) {
    return serde(Completion.class, config);
  }

  /**
   * For jobs' progress.
   *
   * @param config the configuration of Confluent's serializers, with {@code schema.registry.url}
   * @return a serde of jobs' progress
   * @throws org.apache.kafka.common.config.ConfigException if {@code config} is invalid
   */
  public static Serde<JobProgress> jobProgress(final Map<String, ?> config) {
    return serde(JobProgress.class, config);
  }

  // A serializer of any object takes a T, and the deserializer is told to make nothing else.
  @SuppressWarnings("unchecked")
  private static <T extends SpecificRecordBase> Serde<T> serde(
      final Class<T> type, final Map<String, ?> given) {
    final Map<String, Object> config = new HashMap<>(given);
    config.putIfAbsent(KafkaAvroSerializerConfig.AVRO_REMOVE_JAVA_PROPS_CONFIG, true);
    config.put(KafkaAvroDeserializerConfig.SPECIFIC_AVRO_READER_CONFIG, true);
    config.put(KafkaAvroDeserializerConfig.SPECIFIC_AVRO_VALUE_TYPE_CONFIG, type.getName());
    registerInMemory(new KafkaAvroSerializerConfig(config));

    final Serializer<T> confluent = (Serializer<T>) (Serializer<?>) new KafkaAvroSerializer();
    final Deserializer<?> deserializer = new KafkaAvroDeserializer();
    final Serde<T> serde =
        Serdes.serdeFrom(
            config.keySet().stream().anyMatch(SarathiSerdes::dependsOnTheRecord)
                ? confluent
                : new FramedSerializer<>(confluent, type),
            (Deserializer<T>) deserializer);
    serde.configure(config, false);
    return serde;
  }

  /** Whether a setting may change how one record is written and not the next. */
  private static boolean dependsOnTheRecord(final String setting) {
    return setting.startsWith("use.latest") || setting.startsWith("rule.");
  }

  private static void registerInMemory(final KafkaAvroSerializerConfig config) {
    final String scope =
        MockSchemaRegistry.validateAndMaybeGetMockScope(config.getSchemaRegistryUrls());
    if (scope == null) {
      return;
    }
    final SchemaRegistryClient registry =
        MockSchemaRegistry.getClientForScope(scope, List.of(new AvroSchemaProvider()));
    final boolean removeJavaProperties =
        config.getBoolean(KafkaAvroSerializerConfig.AVRO_REMOVE_JAVA_PROPS_CONFIG);
    // The order is the ids 1, 2 and so on. New contracts go to the end.
    for (SpecificRecord contract :
        List.of(new PromptRequest(), new TokenRecord(), new Completion(), new JobProgress())) {
      final AvroSchema schema =
          new AvroSchema(AvroSchemaUtils.getSchema(contract, false, false, removeJavaProperties));
      try {
        registry.register(schema.name(), schema);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      } catch (RestClientException e) {
        throw new IllegalStateException("mock://" + scope + " refused " + schema.name(), e);
      }
    }
  }
}
