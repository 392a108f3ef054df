/**
 * The data contracts: what goes into and comes out of a Sarathi Streams application.
 *
 * <p>{@link dev.sarathi.schemas.PromptRequest} comes in; {@link dev.sarathi.schemas.TokenRecord}
 * and {@link dev.sarathi.schemas.Completion} go out. The classes are generated from the Avro
 * schemas in {@code src/main/avro}; {@link dev.sarathi.schemas.SarathiSerdes} puts them on the wire
 * with Confluent's serializers. Records are built with their builders, and nullable fields are read
 * as {@link java.util.Optional}.
 *
 * <p>A newer schema can read what an older one wrote, and the other way round: every version is
 * kept in {@code src/test/resources/schema-history} and the tests hold each change against all of
 * them.
 */
package dev.sarathi.schemas;
