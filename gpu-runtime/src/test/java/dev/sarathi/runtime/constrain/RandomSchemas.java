package dev.sarathi.runtime.constrain;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Random;

/** JSON schemas within the supported subset, each keyword of it in some of them. */
public final class RandomSchemas {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final List<String> NAMES =
      List.of("name", "age", "city", "größe", "a\"b", "tags", "child", "ok", "x", "price");

  private final Random random;
  private final ObjectNode definitions = JSON.createObjectNode();

  private RandomSchemas(final long seed) {
    random = new Random(seed);
  }

  /** The same for the same seed. */
  public static String schema(final long seed) {
    final RandomSchemas schemas = new RandomSchemas(seed);
    final ObjectNode root = schemas.object(3);
    if (!schemas.definitions.isEmpty()) {
      root.set("$defs", schemas.definitions);
    }
    return root.toString();
  }

  private ObjectNode any(final int depth) {
    return switch (random.nextInt(depth > 0 ? 13 : 8)) {
      case 0 -> string();
      case 1 -> integer();
      case 2 -> number();
      case 3 -> of("boolean");
      case 4 -> of("null");
      case 5 -> values();
      case 6 -> JSON.createObjectNode().put("const", random.nextInt(1000));
      case 7 -> types();
      case 8, 9 -> object(depth - 1);
      case 10 -> array(depth - 1);
      case 11 -> alternatives(depth - 1);
      default -> reference();
    };
  }

  private static ObjectNode of(final String type) {
    return JSON.createObjectNode().put("type", type);
  }

  private ObjectNode string() {
    final ObjectNode schema = of("string");
    final int min = random.nextInt(4);
    if (random.nextBoolean()) {
      schema.put("minLength", min);
    }
    if (random.nextBoolean()) {
      schema.put("maxLength", min + random.nextInt(20));
    }
    return schema;
  }

  private ObjectNode integer() {
    final ObjectNode schema = of("integer");
    final int min = random.nextInt(2000) - 1000;
    if (random.nextBoolean()) {
      schema.put(random.nextBoolean() ? "minimum" : "exclusiveMinimum", min);
    }
    if (random.nextBoolean()) {
      schema.put(
          random.nextBoolean() ? "maximum" : "exclusiveMaximum", min + 2 + random.nextInt(300));
    }
    return schema;
  }

  private ObjectNode number() {
    final ObjectNode schema = of("number");
    final int min = random.nextInt(200) - 100;
    if (random.nextBoolean()) {
      schema.put("minimum", min / 8.0);
    }
    if (random.nextBoolean()) {
      schema.put("maximum", (min + random.nextInt(100)) / 8.0);
    }
    return schema;
  }

  private ObjectNode values() {
    final ObjectNode schema = JSON.createObjectNode();
    final ArrayNode values = schema.putArray("enum");
    values.add("red").add("redder").add(7).add(2.5).addNull().add(true);
    values.addObject().put("a", 1).putArray("b").add("ü");
    return schema;
  }

  private ObjectNode types() {
    final ObjectNode schema = JSON.createObjectNode();
    schema.putArray("type").add("null").add("string").add("integer").add("number");
    return schema.put("minLength", 1).put("minimum", -5).put("maximum", 70);
  }

  private ObjectNode object(final int depth) {
    final ObjectNode schema = of("object");
    final ObjectNode properties = schema.putObject("properties");
    final ArrayNode required = JSON.createArrayNode();
    final int count = random.nextInt(5);
    for (int i = 0; i < count; i++) {
      final String name = NAMES.get(random.nextInt(NAMES.size()));
      if (!properties.has(name)) {
        properties.set(name, any(depth));
        if (random.nextBoolean()) {
          required.add(name);
        }
      }
    }
    schema.set("required", required);
    if (random.nextBoolean()) {
      schema.put("additionalProperties", false);
    }
    return schema;
  }

  private ObjectNode array(final int depth) {
    final ObjectNode schema = of("array");
    final int min = random.nextInt(3);
    schema.set("items", any(depth));
    if (random.nextBoolean()) {
      schema.put("minItems", min);
    }
    if (random.nextBoolean()) {
      schema.put("maxItems", min + random.nextInt(4));
    }
    return schema;
  }

  private ObjectNode alternatives(final int depth) {
    final ObjectNode schema = JSON.createObjectNode();
    if (random.nextBoolean()) {
      schema.putArray("anyOf").add(any(depth)).add(any(depth)).add(any(depth));
    } else {
      schema.putArray("oneOf").add(string()).add(integer()).add(of("boolean")).add(array(depth));
    }
    return schema;
  }

  /** To a definition that holds itself. */
  private ObjectNode reference() {
    final String name = "d" + random.nextInt(2);
    if (!definitions.has(name)) {
      final ObjectNode definition = of("object");
      definitions.set(name, definition);
      final ObjectNode properties = definition.putObject("properties");
      // No reference: what is required and leads back to itself has no end.
      properties.set("value", any(0));
      properties.putObject("next").put("$ref", "#/$defs/" + name);
      final ObjectNode more = properties.putObject("more");
      more.put("type", "array").putObject("items").put("$ref", "#/$defs/" + name);
      definition.putArray("required").add("value");
    }
    return JSON.createObjectNode().put("$ref", "#/$defs/" + name);
  }
}
