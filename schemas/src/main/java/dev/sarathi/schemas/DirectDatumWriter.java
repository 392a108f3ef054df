package dev.sarathi.schemas;

import java.io.IOException;
import java.time.Instant;
import java.util.List;
import org.apache.avro.LogicalTypes;
import org.apache.avro.Schema;
import org.apache.avro.io.Encoder;
import org.apache.avro.specific.SpecificData;
import org.apache.avro.specific.SpecificDatumWriter;
import org.apache.avro.specific.SpecificRecordBase;

/**
 * Writes what Avro's own writer writes, but decides once for each field how, and not with every
 * record again. Avro's generated coders would do the same, but not for a record with a timestamp
 * (1.12).
 */
final class DirectDatumWriter<T extends SpecificRecordBase> extends SpecificDatumWriter<T> {
  private final ValueWriter[] fields;

  private interface ValueWriter {
    void write(Object value, Encoder out) throws IOException;
  }

  DirectDatumWriter(final Class<T> type) {
    super(type);
    this.fields =
        SpecificData.get().getSchema(type).getFields().stream()
            .map(field -> writer(field.schema()))
            .toArray(ValueWriter[]::new);
  }

  @Override
  public void write(final T record, final Encoder out) throws IOException {
    for (int i = 0; i < fields.length; i++) {
      fields[i].write(record.get(i), out);
    }
  }

  private ValueWriter writer(final Schema schema) {
    if (schema.getLogicalType() instanceof LogicalTypes.TimestampMillis) {
      return (value, out) -> out.writeLong(((Instant) value).toEpochMilli());
    }
    if (schema.getLogicalType() != null) {
      return asAvro(schema);
    }
    return switch (schema.getType()) {
      case STRING -> (value, out) -> out.writeString((String) value);
      case BOOLEAN -> (value, out) -> out.writeBoolean((Boolean) value);
      case INT -> (value, out) -> out.writeInt((Integer) value);
      case LONG -> (value, out) -> out.writeLong((Long) value);
      case ARRAY -> array(writer(schema.getElementType()));
      case UNION ->
          isOptional(schema) ? optional(writer(schema.getTypes().get(1))) : asAvro(schema);
      default -> asAvro(schema);
    };
  }

  private ValueWriter asAvro(final Schema schema) {
    return (value, out) -> write(schema, value, out);
  }

  private static boolean isOptional(final Schema union) {
    return union.getTypes().size() == 2
        && union.getTypes().getFirst().getType() == Schema.Type.NULL;
  }

  private static ValueWriter optional(final ValueWriter present) {
    return (value, out) -> {
      out.writeIndex(value == null ? 0 : 1);
      if (value != null) {
        present.write(value, out);
      }
    };
  }

  private static ValueWriter array(final ValueWriter element) {
    return (value, out) -> {
      final List<?> list = (List<?>) value;
      out.writeArrayStart();
      out.setItemCount(list.size());
      for (final Object item : list) {
        out.startItem();
        element.write(item, out);
      }
      out.writeArrayEnd();
    };
  }
}
