package dev.sarathi.schemas;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.Stream;
import org.apache.avro.Schema;
import org.apache.avro.SchemaBuilder;
import org.apache.avro.SchemaFormatter;
import org.apache.avro.specific.SpecificRecord;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

final class SchemaEvolutionTest {

  static Stream<Named<SpecificRecord>> contracts() {
    return Stream.of(new PromptRequest(), new TokenRecord(), new Completion(), new JobProgress())
        .map(contract -> Named.of(contract.getSchema().getName(), contract));
  }

  @ParameterizedTest
  @MethodSource("contracts")
  void shouldKeepEveryPublishedVersion(final SpecificRecord contract) {
    final Schema current = SchemaHistory.current(contract);
    final SchemaHistory history = SchemaHistory.of(current.getName());

    assertThat(history.versions()).as("versions of %s", current.getName()).isNotEmpty();
    assertThat(current)
        .as(
            "%s differs from the newest version in its history. If the change is meant, leave the"
                + " published versions as they are and add"
                + " schemas/src/test/resources/schema-history/%s/v%d.avsc with:%n%s",
            current.getName(),
            current.getName(),
            history.versions().size() + 1,
            SchemaFormatter.format("json/pretty", current))
        .isEqualTo(history.newest());
  }

  @ParameterizedTest
  @MethodSource("contracts")
  void shouldReadAndBeReadByEveryPublishedVersion(final SpecificRecord contract) {
    final Schema current = SchemaHistory.current(contract);

    assertThat(SchemaHistory.of(current.getName()).incompatibilities(current)).isEmpty();
  }

  @ParameterizedTest
  @MethodSource("contracts")
  void shouldDocumentEveryField(final SpecificRecord contract) {
    assertThat(contract.getSchema().getFields())
        .allSatisfy(field -> assertThat(field.doc()).as(field.name()).isNotBlank());
  }

  @Test
  void shouldRefuseANewFieldWithoutADefault() {
    final Schema candidate =
        SchemaBuilder.record("Usage").fields().requiredInt("prompt_tokens").endRecord();
    final SchemaHistory history =
        new SchemaHistory("Usage", List.of(SchemaBuilder.record("Usage").fields().endRecord()));

    assertThat(history.incompatibilities(candidate))
        .singleElement()
        .asString()
        .contains("Usage cannot read v1")
        .contains("prompt_tokens");
  }

  @Test
  void shouldRefuseTheLossOfAFieldThatEarlierReadersNeed() {
    final SchemaHistory history = SchemaHistory.of("TokenRecord");
    final Schema candidate =
        new Schema.Parser()
            .parse(
                history
                    .newest()
                    .toString()
                    .replace("\"name\":\"request_id\"", "\"name\":\"id\",\"default\":\"\""));

    assertThat(history.incompatibilities(candidate))
        .hasSameSizeAs(history.versions())
        .allSatisfy(fact -> assertThat(fact).contains("cannot read TokenRecord", "request_id"));
  }
}
