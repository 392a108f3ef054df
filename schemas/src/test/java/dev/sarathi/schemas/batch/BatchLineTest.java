package dev.sarathi.schemas.batch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.schemas.Constraint;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BatchLineTest {

  @ParameterizedTest
  @ValueSource(
      strings = {
        """
        "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": "Hi"}]""",
        """
        "/v1/completions", "body": {"prompt": "Hi\""""
      })
  void shouldTakeASchemaWithItsPropertiesInOrder(final String urlAndBody) throws Exception {
    final BatchLine line =
        parse(
            urlAndBody,
            """
            {"type": "json_schema", "json_schema": {"name": "person", "strict": true, "schema":
              {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}}}""");

    assertThat(line.request().getConstraint())
        .contains(
            Constraint.newBuilder()
                .setJsonSchema(
                    """
                    {"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}}}""")
                .build());
  }

  @Test
  void shouldConstrainNothingForText() throws Exception {
    assertThat(
            parse("\"/v1/completions\", \"body\": {\"prompt\": \"Hi\"", "{\"type\": \"text\"}")
                .request()
                .getConstraint())
        .isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"type\": \"json_object\"}",
        "{\"type\": \"json_schema\"}",
        "{\"type\": \"json_schema\", \"json_schema\": {\"schema\": \"{}\"}}",
        "{}",
        "\"text\""
      })
  void shouldRefuseAFormatThatSaysNothing(final String format) {
    assertThatThrownBy(() -> parse("\"/v1/completions\", \"body\": {\"prompt\": \"Hi\"", format))
        .isInstanceOf(InvalidLineException.class)
        .hasMessageContaining("response_format");
  }

  private static BatchLine parse(final String urlAndBody, final String format)
      throws InvalidLineException {
    return BatchLine.parse(
        """
        {"custom_id": "1", "method": "POST", "url": %s, "response_format": %s}}"""
            .formatted(urlAndBody, format)
            .getBytes(StandardCharsets.UTF_8));
  }
}
