package dev.sarathi.runtime;

import java.util.List;
import java.util.Objects;

/**
 * What a generation's text must be. Tokens that would lead away from it are not drawn, whatever the
 * model thinks of them. Checked when the engine is handed the request.
 */
public sealed interface Constraint {

  /**
   * One of these texts, exactly.
   *
   * @param texts at least one; none of them empty
   * @return the constraint
   */
  static Constraint oneOf(final List<String> texts) {
    return new OneOf(texts);
  }

  /**
   * A JSON document that is valid by a JSON schema, written without white space.
   *
   * @param schema the schema as JSON text
   * @return the constraint
   */
  static Constraint jsonSchema(final String schema) {
    return new JsonSchema(schema);
  }

  /**
   * One of some texts.
   *
   * @param texts at least one; none of them empty
   */
  record OneOf(List<String> texts) implements Constraint {
    /** Copies the texts. */
    public OneOf {
      texts = List.copyOf(texts);
    }
  }

  /**
   * A JSON document that is valid by a schema.
   *
   * @param schema the schema as JSON text
   */
  record JsonSchema(String schema) implements Constraint {
    /** Refuses null; the schema itself is checked with the request. */
    public JsonSchema {
      Objects.requireNonNull(schema, "schema");
    }
  }
}
