package dev.sarathi.streams.application;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.schemas.PromptRequest;
import io.confluent.kafka.schemaregistry.avro.AvroSchemaUtils;
import java.io.ByteArrayOutputStream;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.message.BinaryMessageEncoder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class SourcePromptTest {
  @Test
  void shouldKnowTheNewestVersionOfTheContract() {
    assertThat(SourcePrompt.versions().getLast())
        .as("carried/PromptRequest lacks what schema-history/PromptRequest has")
        .isEqualTo(AvroSchemaUtils.getSchema(new PromptRequest(), false, false, true));
  }

  @ParameterizedTest
  @MethodSource("dev.sarathi.streams.application.SourcePrompt#versions")
  void shouldReadWhatEveryVersionHasCarried(final Schema version) throws Exception {
    // given
    final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    final GenericRecord carried =
        new GenericRecordBuilder(version).set("id", "r-1").set("max_tokens", 7).build();
    new BinaryMessageEncoder<GenericRecord>(GenericData.get(), version).encode(carried, bytes);

    // when
    final SourcePrompt prompt =
        SourcePrompt.carriedSerde().deserializer().deserialize("changelog", bytes.toByteArray());

    // then
    assertThat(prompt.id()).isEqualTo("r-1");
    assertThat(prompt.request().getMaxTokens()).contains(7);
  }
}
