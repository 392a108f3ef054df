package dev.sarathi.connect;

import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.TokenRecord;
import java.io.EOFException;
import java.io.IOException;
import java.util.Map;
import java.util.function.Function;
import org.apache.avro.generic.IndexedRecord;
import org.apache.avro.specific.SpecificRecord;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.connect.components.Versioned;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.errors.RetriableException;
import org.apache.kafka.connect.storage.Converter;

/**
 * Converts values of the data contracts as every other client writes and reads them: Avro with the
 * id of a schema registry's schema, of which the registry holds what the contracts say.
 *
 * <p>It writes any contract and reads the one that {@value #CONTRACT_CONFIG} names. Everything else
 * in its configuration is Confluent's serializers'; {@code schema.registry.url} is required.
 *
 * <p>Threading: as Connect uses it, by one task at a time.
 */
public final class ContractConverter implements Converter, Versioned {

  /** {@code contract}. */
  public static final String CONTRACT_CONFIG = "contract";

  private static final ConfigDef CONFIG =
      new ConfigDef()
          .define(
              CONTRACT_CONFIG,
              ConfigDef.Type.STRING,
              "Completion",
              ConfigDef.ValidString.in("PromptRequest", "TokenRecord", "Completion"),
              ConfigDef.Importance.MEDIUM,
              "The contract of the values that are read.");

  /** A contract and its serde. */
  private record Contract<T extends SpecificRecord>(
      Serde<T> serde, org.apache.avro.Schema avro, Schema connect, Class<T> type) {
    static <T extends SpecificRecord> Contract<T> of(
        final Class<T> type,
        final org.apache.avro.Schema avro,
        final Function<Map<String, ?>, Serde<T>> serde,
        final Map<String, ?> config) {
      return new Contract<>(serde.apply(config), avro, ContractData.toConnect(avro), type);
    }

    byte[] write(final String topic, final Object value) {
      return serde.serializer().serialize(topic, type.cast(ContractData.toAvro(avro, value)));
    }

    SchemaAndValue read(final String topic, final byte[] bytes) {
      final IndexedRecord record = serde.deserializer().deserialize(topic, bytes);
      return new SchemaAndValue(connect, ContractData.toConnect(avro, connect, record));
    }
  }

  private Map<String, Contract<?>> contracts = Map.of();
  private Contract<?> reading;

  @Override
  public ConfigDef config() {
    return CONFIG;
  }

  @Override
  public String version() {
    return PluginVersion.VALUE;
  }

  @Override
  public void configure(final Map<String, ?> config, final boolean isKey) {
    if (isKey) {
      throw new ConfigException(
          "key.converter is ContractConverter; keys are request ids: valid is"
              + " org.apache.kafka.connect.storage.StringConverter");
    }
    contracts =
        Map.of(
            "PromptRequest",
            Contract.of(
                PromptRequest.class,
                PromptRequest.getClassSchema(),
                SarathiSerdes::promptRequest,
                config),
            "TokenRecord",
            Contract.of(
                TokenRecord.class,
                TokenRecord.getClassSchema(),
                SarathiSerdes::tokenRecord,
                config),
            "Completion",
            Contract.of(
                Completion.class, Completion.getClassSchema(), SarathiSerdes::completion, config));
    reading = contracts.get((String) CONFIG.parse(config).get(CONTRACT_CONFIG));
  }

  @Override
  public byte[] fromConnectData(final String topic, final Schema schema, final Object value) {
    if (value == null) {
      return null;
    }
    final String name = schema == null || schema.name() == null ? "" : schema.name();
    final Contract<?> contract = contracts.get(name.substring(name.lastIndexOf('.') + 1));
    if (contract == null || !contract.avro().getFullName().equals(name)) {
      throw new DataException(
          "a value for topic %s has the schema '%s'; valid are dev.sarathi.schemas.%s"
              .formatted(topic, name, contracts.keySet()));
    }
    try {
      return contract.write(topic, value);
    } catch (final SerializationException e) {
      throw failure("a value for topic " + topic + " cannot be written", e);
    }
  }

  @Override
  public SchemaAndValue toConnectData(final String topic, final byte[] bytes) {
    if (bytes == null) {
      return SchemaAndValue.NULL;
    }
    try {
      return reading.read(topic, bytes);
    } catch (final SerializationException e) {
      throw failure("a value of topic %s is no %s".formatted(topic, reading.avro().getName()), e);
    }
  }

  /** A registry that does not answer is asked again, as `errors.retry.timeout` says. */
  private static ConnectException failure(final String message, final SerializationException e) {
    return e.getCause() instanceof IOException && !(e.getCause() instanceof EOFException)
        ? new RetriableException("the schema registry does not answer: " + e.getMessage(), e)
        : new DataException(message, e);
  }

  @Override
  public void close() {
    contracts.values().forEach(contract -> contract.serde().close());
  }
}
