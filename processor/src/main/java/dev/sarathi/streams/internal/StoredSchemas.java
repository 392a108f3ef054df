package dev.sarathi.streams.internal;

import dev.sarathi.streams.internal.stored.StoredAttempt;
import dev.sarathi.streams.internal.stored.StoredChunk;
import dev.sarathi.streams.internal.stored.StoredIdentity;
import dev.sarathi.streams.internal.stored.StoredJob;
import dev.sarathi.streams.internal.stored.StoredRequest;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.message.BinaryMessageDecoder;

/**
 * Every schema that stored values were ever written with, oldest first: {@code stored/NAME/v1.avsc}
 * and so on. A changelog may hold values of any of them.
 */
final class StoredSchemas {
  static final Map<Schema, BinaryMessageDecoder<?>> DECODERS =
      Map.of(
          StoredRequest.getClassSchema(), StoredRequest.getDecoder(),
          StoredAttempt.getClassSchema(), StoredAttempt.getDecoder(),
          StoredChunk.getClassSchema(), StoredChunk.getDecoder(),
          StoredIdentity.getClassSchema(), StoredIdentity.getDecoder(),
          StoredJob.getClassSchema(), StoredJob.getDecoder());

  private StoredSchemas() {}

  /** Lets the stored classes read what any version has written. */
  static void load() {
    DECODERS.forEach((schema, decoder) -> versions(schema.getName()).forEach(decoder::addSchema));
  }

  static List<Schema> versions(final String name) {
    final List<Schema> versions = new ArrayList<>();
    while (true) {
      final String resource = "stored/%s/v%d.avsc".formatted(name, versions.size() + 1);
      try (InputStream version = StoredSchemas.class.getResourceAsStream(resource)) {
        if (version == null) {
          return versions;
        }
        versions.add(new Schema.Parser().parse(version));
      } catch (final IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
