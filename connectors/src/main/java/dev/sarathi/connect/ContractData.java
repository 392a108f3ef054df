package dev.sarathi.connect;

import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.Map;
import org.apache.avro.LogicalTypes;
import org.apache.avro.Schema;
import org.apache.avro.generic.IndexedRecord;
import org.apache.avro.specific.SpecificData;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Timestamp;
import org.apache.kafka.connect.errors.DataException;

/**
 * The data contracts as Connect's data and back, for what they are made of: records, arrays, enums,
 * optional fields, timestamps and simple types.
 *
 * <p>An enum becomes a string that carries the parameters by which Confluent's Avro converter knows
 * one.
 */
final class ContractData {
  private static final String CONFLUENT_ENUM = "io.confluent.connect.avro.Enum";

  private ContractData() {}

  static org.apache.kafka.connect.data.Schema toConnect(final Schema avro) {
    return builder(avro).build();
  }

  /**
   * @param avro the contract
   * @param connect what {@link #toConnect(Schema)} made of it
   */
  static Object toConnect(
      final Schema avro, final org.apache.kafka.connect.data.Schema connect, final Object value) {
    if (value == null) {
      return null;
    }
    final Schema present = present(avro);
    return switch (present.getType()) {
      case RECORD -> {
        final IndexedRecord record = (IndexedRecord) value;
        final Struct struct = new Struct(connect);
        for (final Field field : connect.fields()) {
          final Schema.Field from = present.getField(field.name());
          struct.put(field, toConnect(from.schema(), field.schema(), record.get(from.pos())));
        }
        yield struct;
      }
      case ARRAY ->
          ((List<?>) value)
              .stream()
                  .map(item -> toConnect(present.getElementType(), connect.valueSchema(), item))
                  .toList();
      case ENUM, STRING -> value.toString();
      case LONG -> value instanceof Instant instant ? Date.from(instant) : value;
      default -> value;
    };
  }

  /**
   * @param value a {@link Struct}, a map without a schema, or part of one; a field that it lacks
   *     has the contract's default
   * @return for a record, an instance of the generated class
   * @throws DataException if it is not what the contract says, naming the field
   */
  static Object toAvro(final Schema avro, final Object value) {
    return toAvro(avro, value, avro.getName());
  }

  private static Object toAvro(final Schema avro, final Object value, final String path) {
    final Schema present = present(avro);
    if (value == null) {
      if (present == avro) {
        throw new DataException(path + " is null");
      }
      return null;
    }
    try {
      return switch (present.getType()) {
        case RECORD -> record(present, value, path);
        case ARRAY ->
            ((List<?>) value)
                .stream().map(item -> toAvro(present.getElementType(), item, path)).toList();
        case ENUM -> symbol(present, value.toString());
        case STRING -> (String) value;
        case INT -> Math.toIntExact(((Number) value).longValue());
        case LONG -> isTimestamp(present) ? instant(value) : (Object) ((Number) value).longValue();
        case FLOAT -> ((Number) value).floatValue();
        case DOUBLE -> ((Number) value).doubleValue();
        case BOOLEAN -> (Boolean) value;
        default -> throw new DataException(path + ": no contract has a " + present.getType());
      };
    } catch (final ClassCastException | ArithmeticException e) {
      throw new DataException(
          path + " is a " + value.getClass().getName() + "; valid is a " + present, e);
    }
  }

  private static Object record(final Schema avro, final Object value, final String path) {
    final IndexedRecord record = (IndexedRecord) SpecificData.get().newRecord(null, avro);
    for (final Schema.Field field : avro.getFields()) {
      final String name = field.name();
      final boolean given;
      final Object from;
      if (value instanceof Struct struct) {
        given = struct.schema().field(name) != null;
        from = given ? struct.get(name) : null;
      } else {
        final Map<?, ?> map = (Map<?, ?>) value;
        given = map.containsKey(name);
        from = map.get(name);
      }
      if (!given && !field.hasDefaultValue()) {
        throw new DataException(path + "." + name + " is missing");
      }
      record.put(
          field.pos(),
          given
              ? toAvro(field.schema(), from, path + "." + name)
              : SpecificData.get().getDefaultValue(field));
    }
    return record;
  }

  private static Object symbol(final Schema avro, final String name) {
    return SpecificData.get()
        .createEnum(avro.hasEnumSymbol(name) ? name : avro.getEnumDefault(), avro);
  }

  private static Instant instant(final Object value) {
    return value instanceof Date date
        ? date.toInstant()
        : Instant.ofEpochMilli(((Number) value).longValue());
  }

  private static SchemaBuilder builder(final Schema avro) {
    final Schema present = present(avro);
    final SchemaBuilder builder =
        switch (present.getType()) {
          case RECORD -> {
            final SchemaBuilder struct = SchemaBuilder.struct().name(present.getFullName());
            for (final Schema.Field field : present.getFields()) {
              struct.field(field.name(), toConnect(field.schema()));
            }
            yield struct;
          }
          case ARRAY -> SchemaBuilder.array(toConnect(present.getElementType()));
          case ENUM -> {
            final SchemaBuilder string =
                SchemaBuilder.string().parameter(CONFLUENT_ENUM, present.getFullName());
            for (final String symbol : present.getEnumSymbols()) {
              string.parameter(CONFLUENT_ENUM + "." + symbol, symbol);
            }
            yield string;
          }
          case LONG -> isTimestamp(present) ? Timestamp.builder() : SchemaBuilder.int64();
          case INT -> SchemaBuilder.int32();
          case FLOAT -> SchemaBuilder.float32();
          case DOUBLE -> SchemaBuilder.float64();
          case BOOLEAN -> SchemaBuilder.bool();
          case STRING -> SchemaBuilder.string();
          default -> throw new IllegalArgumentException("no contract has a " + present.getType());
        };
    return present == avro ? builder : builder.optional();
  }

  private static boolean isTimestamp(final Schema avro) {
    return avro.getLogicalType() instanceof LogicalTypes.TimestampMillis;
  }

  /** Of a union of null and something else, the something. */
  private static Schema present(final Schema avro) {
    return avro.isUnion()
        ? avro.getTypes().stream()
            .filter(type -> type.getType() != Schema.Type.NULL)
            .findFirst()
            .orElseThrow()
        : avro;
  }
}
