package dev.sarathi.schemas;

import static org.apache.avro.SchemaCompatibility.SchemaCompatibilityType.COMPATIBLE;
import static org.apache.avro.SchemaCompatibility.checkReaderWriterCompatibility;

import io.confluent.kafka.schemaregistry.avro.AvroSchemaUtils;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility.SchemaPairCompatibility;
import org.apache.avro.specific.SpecificRecord;

/**
 * The versions of one contract, oldest first, from {@code schema-history/NAME/v1.avsc}, {@code
 * v2.avsc} and so on.
 */
record SchemaHistory(String name, List<Schema> versions) {

  static SchemaHistory of(final String name) {
    final List<Schema> versions = new ArrayList<>();
    while (true) {
      final String resource = "/schema-history/%s/v%d.avsc".formatted(name, versions.size() + 1);
      try (InputStream version = SchemaHistory.class.getResourceAsStream(resource)) {
        if (version == null) {
          return new SchemaHistory(name, List.copyOf(versions));
        }
        versions.add(new Schema.Parser().parse(version));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** The schema as the registry sees it: self-contained and without what only Java needs. */
  static Schema current(final SpecificRecord contract) {
    return AvroSchemaUtils.getSchema(contract, false, false, true);
  }

  Schema newest() {
    return versions.getLast();
  }

  /** Why {@code candidate} could not read some version (BACKWARD) or be read by it (FORWARD). */
  List<String> incompatibilities(final Schema candidate) {
    final List<String> found = new ArrayList<>();
    for (int i = 0; i < versions.size(); i++) {
      explain(name + " cannot read v" + (i + 1), candidate, versions.get(i), found);
      explain("v" + (i + 1) + " cannot read " + name, versions.get(i), candidate, found);
    }
    return found;
  }

  private static void explain(
      final String fact, final Schema reader, final Schema writer, final List<String> found) {
    final SchemaPairCompatibility pair = checkReaderWriterCompatibility(reader, writer);
    if (pair.getType() != COMPATIBLE) {
      found.add(fact + ": " + pair.getResult().getIncompatibilities());
    }
  }
}
