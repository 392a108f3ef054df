package dev.sarathi.runtime.constrain;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.cfg.JsonNodeFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Makes a grammar of a JSON schema. What it does not know it refuses, with the place: a keyword
 * that were ignored would be a promise broken.
 */
final class SchemaReader {
  /** The most characters of a schema. */
  static final int MAX_LENGTH = 1 << 16;

  /** The most schemas within one another. */
  static final int MAX_DEPTH = 64;

  /** The most properties of an object. */
  static final int MAX_PROPERTIES = 256;

  /** The most characters of a string, and items of an array, that may be asked for. */
  static final int MAX_COUNT = 1 << 20;

  private static final JsonMapper MAPPER =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
          .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
          .build();

  /** What is said for readers and has no bearing on what is valid. */
  private static final Set<String> ANNOTATIONS =
      Set.of(
          "title",
          "description",
          "default",
          "examples",
          "deprecated",
          "readOnly",
          "writeOnly",
          "$comment",
          "$defs",
          "definitions");

  private static final Map<String, Set<String>> KEYWORDS = new LinkedHashMap<>();

  static {
    KEYWORDS.put("object", Set.of("properties", "required", "additionalProperties"));
    KEYWORDS.put("array", Set.of("items", "minItems", "maxItems"));
    KEYWORDS.put("string", Set.of("minLength", "maxLength"));
    KEYWORDS.put("integer", Set.of("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"));
    KEYWORDS.put("number", Set.of("minimum", "maximum"));
    KEYWORDS.put("boolean", Set.of());
    KEYWORDS.put("null", Set.of());
  }

  private final JsonNode document;
  private final Strings strings = new Strings();
  private final Numbers numbers = new Numbers();
  private final Map<String, Node.Rule> rules = new HashMap<>();

  // References that were followed since the last bracket: one of them again would never end.
  private Set<String> unguarded = new HashSet<>();
  private int depth;

  /**
   * @throws ConstraintException if the text is no JSON, or too long
   */
  SchemaReader(final String schema) {
    if (schema.length() > MAX_LENGTH) {
      throw new ConstraintException(
          "json_schema has %d characters; at most %d are supported"
              .formatted(schema.length(), MAX_LENGTH));
    }
    try {
      document = MAPPER.readTree(schema);
    } catch (final JsonProcessingException e) {
      throw new ConstraintException("json_schema is not valid JSON: " + e.getOriginalMessage());
    }
  }

  /**
   * @throws ConstraintException naming the place and what is valid there
   */
  Node read() {
    return read(document, "#");
  }

  private Node read(final JsonNode schema, final String path) {
    if (!schema.isObject()) {
      throw refusal(path, "is %s; a schema is an object".formatted(shown(schema)));
    }
    if (++depth > MAX_DEPTH) {
      throw refusal(path, "is nested deeper than " + MAX_DEPTH);
    }
    final Node node;
    if (schema.has("$ref")) {
      node = reference(schema, path);
    } else if (schema.has("enum") || schema.has("const")) {
      node = values(schema, path);
    } else if (schema.has("anyOf") || schema.has("oneOf")) {
      node = alternatives(schema, path);
    } else {
      node = typed(schema, path);
    }
    depth--;
    return node;
  }

  private Node reference(final JsonNode schema, final String path) {
    allow(schema, path, Set.of("$ref"));
    final String target = schema.path("$ref").asText();
    target(schema, path);
    if (!unguarded.add(target)) {
      throw refusal(
          path + "/$ref",
          "leads back to %s without an object or an array between".formatted(target));
    }
    Node.Rule rule = rules.get(target);
    if (rule == null) {
      rule = new Node.Rule();
      rules.put(target, rule);
      rule.define(read(target(schema, path), target));
    }
    unguarded.remove(target);
    return rule;
  }

  private JsonNode target(final JsonNode schema, final String path) {
    final String target = schema.path("$ref").asText();
    if (target.equals("#")) {
      return document;
    }
    if (!target.startsWith("#/") || target.contains("%")) {
      throw refusal(
          path + "/$ref",
          "is %s; valid is a place in this schema, such as #/$defs/name"
              .formatted(shown(schema.path("$ref"))));
    }
    final JsonNode found = document.at(target.substring(1));
    if (found.isMissingNode()) {
      throw refusal(path + "/$ref", "is \"%s\", which is not in this schema".formatted(target));
    }
    return found;
  }

  private Node values(final JsonNode schema, final String path) {
    allow(schema, path, Set.of("enum", "const", "type"));
    if (schema.has("enum") && schema.has("const")) {
      throw refusal(path, "has both enum and const; valid is one of them");
    }
    final Set<String> types = schema.has("type") ? types(schema, path) : KEYWORDS.keySet();
    final List<String> texts =
        valuesOf(schema, path).stream()
            .filter(value -> isOf(types, value))
            .map(JsonNode::toString)
            .toList();
    if (texts.isEmpty()) {
      throw refusal(path, "has no value of its type");
    }
    return Grammar.texts(texts);
  }

  private static List<JsonNode> valuesOf(final JsonNode schema, final String path) {
    if (schema.has("const")) {
      return List.of(schema.get("const"));
    }
    final JsonNode values = schema.get("enum");
    if (!values.isArray() || values.isEmpty()) {
      throw refusal(path + "/enum", "is %s; valid is a list of values".formatted(shown(values)));
    }
    return values.valueStream().toList();
  }

  private static boolean isOf(final Set<String> types, final JsonNode value) {
    return switch (value.getNodeType()) {
      case OBJECT -> types.contains("object");
      case ARRAY -> types.contains("array");
      case STRING -> types.contains("string");
      case BOOLEAN -> types.contains("boolean");
      case NULL -> types.contains("null");
      case NUMBER ->
          types.contains("number")
              || types.contains("integer")
                  && value.decimalValue().stripTrailingZeros().scale() <= 0;
      case BINARY, MISSING, POJO -> false;
    };
  }

  private Node alternatives(final JsonNode schema, final String path) {
    allow(schema, path, Set.of("anyOf", "oneOf"));
    if (schema.has("anyOf") && schema.has("oneOf")) {
      throw refusal(path, "has both anyOf and oneOf; valid is one of them");
    }
    final String keyword = schema.has("anyOf") ? "anyOf" : "oneOf";
    final JsonNode ways = schema.get(keyword);
    if (!ways.isArray() || ways.isEmpty()) {
      throw refusal(
          path + "/" + keyword, "is %s; valid is a list of schemas".formatted(shown(ways)));
    }
    final List<Node> nodes = new ArrayList<>();
    for (int i = 0; i < ways.size(); i++) {
      nodes.add(read(ways.get(i), "%s/%s/%d".formatted(path, keyword, i)));
    }
    if (keyword.equals("oneOf")) {
      for (int i = 0; i < ways.size(); i++) {
        for (int j = 0; j < i; j++) {
          if (!disjoint(ways.get(i), ways.get(j), 0)) {
            throw refusal(
                path + "/oneOf",
                ("%d and %d may both hold for one value; valid are alternatives of different types,"
                        + " different values, or with a required property of different values;"
                        + " or use anyOf")
                    .formatted(j, i));
          }
        }
      }
    }
    return Node.either(nodes);
  }

  /** Whether it is sure that no value is valid by both. */
  private boolean disjoint(final JsonNode one, final JsonNode other, final int level) {
    if (level > MAX_DEPTH) {
      return false;
    }
    if (one.has("$ref")) {
      return disjoint(target(one, "#"), other, level + 1);
    }
    if (other.has("$ref")) {
      return disjoint(one, target(other, "#"), level + 1);
    }
    if (hasValues(one)) {
      return hasValues(other)
          ? valuesOf(one, "#").stream()
              .noneMatch(v -> valuesOf(other, "#").stream().anyMatch(w -> same(v, w)))
          : other.has("type")
              && valuesOf(one, "#").stream().noneMatch(v -> isOf(types(other, "#"), v));
    }
    if (hasValues(other)) {
      return disjoint(other, one, level + 1);
    }
    if (!one.has("type") || !other.has("type")) {
      return false;
    }
    final Set<String> shared = new HashSet<>(withIntegers(types(one, "#")));
    shared.retainAll(withIntegers(types(other, "#")));
    if (shared.equals(Set.of("object"))) {
      final Set<String> required = required(one, "#");
      required.retainAll(required(other, "#"));
      return required.stream()
          .anyMatch(
              name ->
                  disjoint(
                      one.path("properties").path(name),
                      other.path("properties").path(name),
                      level + 1));
    }
    return shared.isEmpty();
  }

  private static boolean hasValues(final JsonNode schema) {
    return schema.has("enum") || schema.has("const");
  }

  private static Set<String> withIntegers(final Set<String> types) {
    if (types.contains("number")) {
      final Set<String> all = new HashSet<>(types);
      all.add("integer");
      return all;
    }
    return types;
  }

  /** Numbers are equal by their value; those within objects and lists are not looked at. */
  private static boolean same(final JsonNode one, final JsonNode other) {
    if (one.isContainerNode() && other.isContainerNode()) {
      return one.getNodeType() == other.getNodeType();
    }
    return one.isNumber() && other.isNumber()
        ? one.decimalValue().compareTo(other.decimalValue()) == 0
        : one.equals(other);
  }

  private Node typed(final JsonNode schema, final String path) {
    final Set<String> types = types(schema, path);
    final Set<String> known = new HashSet<>(Set.of("type"));
    types.forEach(type -> known.addAll(KEYWORDS.get(type)));
    allow(schema, path, known);
    // A whole number is a number.
    if (types.contains("number")) {
      if (types.contains("integer")
          && (schema.has("exclusiveMinimum") || schema.has("exclusiveMaximum"))) {
        throw refusal(path, "has an exclusive bound of a number; valid are minimum and maximum");
      }
      types.remove("integer");
    }
    return Node.either(
        types.stream()
            .map(
                type ->
                    switch (type) {
                      case "object" -> guarded(() -> object(schema, path));
                      case "array" -> guarded(() -> array(schema, path));
                      case "string" -> string(schema, path);
                      case "integer" -> integer(schema, path);
                      case "number" -> number(schema, path);
                      case "boolean" -> Node.either(Node.text("true"), Node.text("false"));
                      default -> Node.text("null");
                    })
            .toList());
  }

  private Node guarded(final java.util.function.Supplier<Node> container) {
    final Set<String> outside = unguarded;
    unguarded = new HashSet<>();
    final Node node = container.get();
    unguarded = outside;
    return node;
  }

  private static Set<String> types(final JsonNode schema, final String path) {
    final JsonNode given = schema.path("type");
    if (given.isMissingNode()) {
      throw refusal(
          path,
          "has no type; valid is one of %s, or $ref, enum, const, anyOf, oneOf"
              .formatted(KEYWORDS.keySet()));
    }
    final List<JsonNode> names = given.isArray() ? given.valueStream().toList() : List.of(given);
    final Set<String> types = new LinkedHashSet<>();
    for (final JsonNode name : names) {
      if (!name.isTextual() || !KEYWORDS.containsKey(name.asText())) {
        throw refusal(
            path + "/type", "is %s; valid are %s".formatted(shown(name), KEYWORDS.keySet()));
      }
      types.add(name.asText());
    }
    if (types.isEmpty()) {
      throw refusal(path + "/type", "is empty; valid are " + KEYWORDS.keySet());
    }
    return types;
  }

  /** Its named properties, in the schema's order, and no others. */
  private Node object(final JsonNode schema, final String path) {
    final JsonNode additional = schema.path("additionalProperties");
    if (!additional.isMissingNode() && !additional.isBoolean()) {
      throw refusal(
          path + "/additionalProperties",
          "is a schema; valid is true or false, and only named properties are written");
    }
    final JsonNode properties = schema.path("properties");
    if (!properties.isMissingNode() && !properties.isObject()) {
      throw refusal(path + "/properties", "is %s; valid is an object".formatted(shown(properties)));
    }
    if (properties.size() > MAX_PROPERTIES) {
      throw refusal(
          path + "/properties",
          "has %d; at most %d are supported".formatted(properties.size(), MAX_PROPERTIES));
    }
    final Set<String> required = required(schema, path);
    final List<Map.Entry<String, JsonNode>> members = List.copyOf(properties.properties());
    for (final String name : required) {
      if (!properties.has(name)) {
        throw refusal(path + "/required", "names \"%s\", which properties lack".formatted(name));
      }
    }
    // From the last to the first: what follows when something is written before, and when not.
    Node behind = Node.text("}");
    Node first = Node.text("}");
    for (final Map.Entry<String, JsonNode> member : members.reversed()) {
      final String name = MAPPER.getNodeFactory().textNode(member.getKey()).toString();
      final Node value =
          read(member.getValue(), "%s/properties/%s".formatted(path, escaped(member.getKey())));
      final Node next = Node.series(Node.text("," + name + ":"), value, behind);
      final Node begin = Node.series(Node.text(name + ":"), value, behind);
      final boolean mayLack = !required.contains(member.getKey());
      first = mayLack ? Node.either(begin, first) : begin;
      behind = mayLack ? Node.either(next, behind) : next;
    }
    return Node.series(Node.text("{"), first);
  }

  private static Set<String> required(final JsonNode schema, final String path) {
    final JsonNode given = schema.path("required");
    if (!given.isMissingNode()
        && (!given.isArray() || !given.valueStream().allMatch(JsonNode::isTextual))) {
      throw refusal(path + "/required", "is %s; valid is a list of names".formatted(shown(given)));
    }
    final Set<String> required = new HashSet<>();
    given.forEach(name -> required.add(name.asText()));
    return required;
  }

  private Node array(final JsonNode schema, final String path) {
    final int min = count(schema, "minItems", 0, path);
    final int max = count(schema, "maxItems", Node.UNBOUNDED, path);
    checkOrder("minItems", min, "maxItems", max, path);
    if (max == 0) {
      return Node.text("[]");
    }
    if (!schema.has("items")) {
      throw refusal(path, "has no items; what an array holds must be said");
    }
    final Node item = read(schema.get("items"), path + "/items");
    final Node further =
        Node.repeat(
            Node.series(Node.text(","), item),
            Math.max(0, min - 1),
            max == Node.UNBOUNDED ? max : max - 1);
    final Node filled = Node.series(item, further, Node.text("]"));
    return Node.series(Node.text("["), min == 0 ? Node.either(filled, Node.text("]")) : filled);
  }

  private Node string(final JsonNode schema, final String path) {
    final int min = count(schema, "minLength", 0, path);
    final int max = count(schema, "maxLength", Node.UNBOUNDED, path);
    checkOrder("minLength", min, "maxLength", max, path);
    return strings.of(min, max);
  }

  private static int count(
      final JsonNode schema, final String keyword, final int absent, final String path) {
    final JsonNode given = schema.path(keyword);
    if (given.isMissingNode()) {
      return absent;
    }
    if (!given.isIntegralNumber()
        || !given.canConvertToInt()
        || given.intValue() < 0
        || given.intValue() > MAX_COUNT) {
      throw refusal(
          path + "/" + keyword,
          "is %s; valid is a whole number from 0 to %d".formatted(shown(given), MAX_COUNT));
    }
    return given.intValue();
  }

  private static void checkOrder(
      final String least, final int min, final String most, final int max, final String path) {
    if (min > max) {
      throw refusal(path + "/" + least, "is %d, more than %s, %d".formatted(min, most, max));
    }
  }

  private Node integer(final JsonNode schema, final String path) {
    BigInteger min = Numbers.LARGEST.negate();
    BigInteger max = Numbers.LARGEST;
    if (schema.has("minimum")) {
      min = bound(schema, "minimum", path).setScale(0, RoundingMode.CEILING).toBigInteger();
    }
    if (schema.has("maximum")) {
      max = bound(schema, "maximum", path).setScale(0, RoundingMode.FLOOR).toBigInteger();
    }
    if (schema.has("exclusiveMinimum")) {
      final BigDecimal above = bound(schema, "exclusiveMinimum", path);
      min = min.max(above.setScale(0, RoundingMode.FLOOR).toBigInteger().add(BigInteger.ONE));
    }
    if (schema.has("exclusiveMaximum")) {
      final BigDecimal below = bound(schema, "exclusiveMaximum", path);
      max =
          max.min(below.setScale(0, RoundingMode.CEILING).toBigInteger().subtract(BigInteger.ONE));
    }
    return numbers
        .integers(min, max)
        .orElseThrow(() -> refusal(path, "holds no whole number that can be written"));
  }

  private Node number(final JsonNode schema, final String path) {
    if (!schema.has("minimum") && !schema.has("maximum")) {
      return numbers.any();
    }
    final BigDecimal largest = new BigDecimal(Numbers.LARGEST);
    return numbers
        .decimals(
            schema.has("minimum") ? bound(schema, "minimum", path) : largest.negate(),
            schema.has("maximum") ? bound(schema, "maximum", path) : largest)
        .orElseThrow(() -> refusal(path, "holds no number that can be written"));
  }

  private static BigDecimal bound(final JsonNode schema, final String keyword, final String path) {
    final JsonNode given = schema.get(keyword);
    if (given.isNumber()) {
      final BigDecimal value = given.decimalValue();
      // By its exponent first: written out, 1e999999999 would take a gigabyte.
      if (value.signum() == 0) {
        return BigDecimal.ZERO;
      }
      if ((long) value.precision() - value.scale() <= Numbers.BOUND_DIGITS
          && value.stripTrailingZeros().scale() <= Numbers.DIGITS) {
        return value;
      }
    }
    throw refusal(
        path + "/" + keyword,
        "is %s; valid is a number of at most %d digits before the point and %d behind it"
            .formatted(shown(given), Numbers.BOUND_DIGITS, Numbers.DIGITS));
  }

  private void allow(final JsonNode schema, final String path, final Set<String> known) {
    for (final String keyword : (Iterable<String>) schema::fieldNames) {
      final boolean atRoot =
          path.equals("#") && (keyword.equals("$schema") || keyword.equals("$id"));
      if (!atRoot && !known.contains(keyword) && !ANNOTATIONS.contains(keyword)) {
        throw refusal(
            path + "/" + escaped(keyword),
            "is not supported here; valid beside annotations are "
                + known.stream().sorted().toList());
      }
    }
  }

  private static String escaped(final String name) {
    return name.replace("~", "~0").replace("/", "~1");
  }

  private static String shown(final JsonNode value) {
    final String text = value.toString();
    return text.length() <= 40 ? text : text.substring(0, 40) + "…";
  }

  private static ConstraintException refusal(final String path, final String reason) {
    return new ConstraintException("json_schema: %s %s".formatted(path, reason));
  }
}
