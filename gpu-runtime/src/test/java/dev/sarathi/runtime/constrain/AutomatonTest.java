package dev.sarathi.runtime.constrain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AutomatonTest {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();
  private static final SchemaRegistry VALIDATORS =
      SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12);

  /** Every byte, some texts that cross the borders of a document's parts, and an end. */
  private static final List<byte[]> TOKENS = tokens();

  private static final int END = TOKENS.size();
  private static final Vocabulary VOCABULARY =
      Vocabulary.of(END + 1, id -> id == END ? Optional.empty() : Optional.of(TOKENS.get(id)));

  private static List<byte[]> tokens() {
    final List<byte[]> tokens = new ArrayList<>();
    for (int value = 0; value < 256; value++) {
      tokens.add(new byte[] {(byte) value});
    }
    for (final String text :
        List.of(
            "{\"", "\":", "\":\"", "\",\"", "\"}", "},{", "]}", "null", "true", "é", "日本", "name",
            "a", "00", "12", "hello", " world", "\\u00", "\\n", "red", "}}")) {
      tokens.add(text.getBytes(StandardCharsets.UTF_8));
    }
    return tokens;
  }

  private static Guide guide(final Grammar grammar) {
    return new Guide(new Automaton(grammar, VOCABULARY), new int[] {END});
  }

  private static Grammar schema(final String schema) {
    return Grammar.jsonSchema(schema.replace('\'', '"'), VOCABULARY);
  }

  /** Draws among all tokens that are allowed, each as likely, as a model without a clue would. */
  private static String walk(final Grammar grammar, final int maxTokens, final Random random) {
    final Guide guide = guide(grammar);
    final ByteArrayOutputStream text = new ByteArrayOutputStream();
    for (int count = 0; count < maxTokens && !guide.isComplete(); count++) {
      final int[] allowed = BitSet.valueOf(guide.allowed(maxTokens - count)).stream().toArray();
      assertThat(allowed).as("tokens behind %s", text).isNotEmpty();
      final int token = allowed[random.nextInt(allowed.length)];
      if (token == END) {
        break;
      }
      text.writeBytes(TOKENS.get(token));
      guide.accept(token);
    }
    assertThat(guide.accepts()).as("end of %s", text).isTrue();
    return text.toString(StandardCharsets.UTF_8);
  }

  private static boolean takes(final Grammar grammar, final String text) {
    final Guide guide = guide(grammar);
    for (final byte value : text.getBytes(StandardCharsets.UTF_8)) {
      if (!BitSet.valueOf(guide.allowed(Node.NEVER)).get(value & 0xff)) {
        return false;
      }
      guide.accept(value & 0xff);
    }
    return guide.accepts();
  }

  @Property(tries = 300)
  void shouldLeadToValidDocumentsAlone(@ForAll @LongRange(min = 0, max = 1_000_000) final long seed)
      throws Exception {
    final String schema = RandomSchemas.schema(seed);
    final Grammar grammar = Grammar.jsonSchema(schema, VOCABULARY);
    final Random random = new Random(seed);
    final int maxTokens = grammar.fewestTokens() + random.nextInt(100);

    final String text = walk(grammar, maxTokens, random);

    assertThat(VALIDATORS.getSchema(JSON.readTree(schema)).validate(JSON.readTree(text)))
        .as("%s by %s", text, schema)
        .isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'type':'integer','minimum':-12,'maximum':105} | -12 -11 -1 0 9 10 99 100 105 | -13 -0 00 106 1.0",
        "{'type':'integer','exclusiveMinimum':3,'exclusiveMaximum':5} | 4 | 3 5",
        "{'type':'number','minimum':-0.5,'maximum':1.25} | -0.50 -0.49 0.00 0.31 1.25 1.2499 | -0.51 1.26 1.251 2 0.3",
        "{'type':'number','minimum':0,'maximum':1} | 0 1 0.5 0.999 | 1.0 -0 2 01",
        "{'type':'number'} | 0 -0 1.5 1e5 -2.25E-10 | 01 .5 1. 1e 1e100",
        "{'type':'string','minLength':2,'maxLength':3} | \"ab\" \"日本語\" \"\\n\\u00e9\" | \"a\" \"abcd\" \"\\ud800a\" ab",
        "{'type':'array','items':{'type':'boolean'},'minItems':1,'maxItems':2} | [true] [true,false] | [] [true,true,true] [true,]",
        "{'type':'array','items':{'type':'null'}} | [] [null,null,null] | [,null]",
        "{'type':['null','boolean']} | null true | 1",
        "{'enum':['a',1,{'b':[]}]} | \"a\" 1 {\"b\":[]} | \"b\" 2",
        "{'type':'object','properties':{'a':{'const':1},'b':{'const':2},'c':{'const':3}},'required':['b']}"
            + " | {\"b\":2} {\"a\":1,\"b\":2} {\"b\":2,\"c\":3} {\"a\":1,\"b\":2,\"c\":3} | {} {\"a\":1} {\"c\":3,\"b\":2} {\"b\":2,}",
        "{'$ref':'#/$defs/n','$defs':{'n':{'type':'object','properties':{'n':{'$ref':'#/$defs/n'}}}}} | {} {\"n\":{\"n\":{}}} | {\"n\":1}",
        "{'anyOf':[{'type':'integer','minimum':5},{'type':'integer','maximum':2}]} | 7 1 -4 | 3 4",
      })
  void shouldTakeWhatIsValidAndNothingElse(
      final String schema, final String valid, final String invalid) {
    final Grammar grammar = schema(schema);

    assertThat(valid.split(" ")).allMatch(text -> takes(grammar, text));
    assertThat(invalid.split(" ")).noneMatch(text -> takes(grammar, text));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "[] | # is []; a schema is an object",
        "{ | is not valid JSON",
        "{} | # has no type",
        "{'type':'strin'} | #/type is \"strin\"; valid are",
        "{'type':'string','pattern':'a'} | #/pattern is not supported here",
        "{'type':'string','maxItems':3} | #/maxItems is not supported here",
        "{'type':'array'} | # has no items",
        "{'type':'array','items':{'type':'string','format':'date'}} | #/items/format is not supported",
        "{'type':'object','required':['a']} | #/required names \"a\", which properties lack",
        "{'type':'object','properties':{'a/b':{'allOf':[]}}} | #/properties/a~1b has no type",
        "{'type':'object','additionalProperties':{'type':'null'}} | #/additionalProperties is a schema",
        "{'type':'string','minLength':3,'maxLength':2} | #/minLength is 3, more than maxLength, 2",
        "{'type':'integer','minimum':3,'maximum':2} | # holds no whole number",
        "{'type':'integer','minimum':1e999999999} | #/minimum is 1E+999999999; valid is",
        "{'$ref':'http://x/y'} | #/$ref is \"http://x/y\"; valid is a place in this schema",
        "{'$ref':'#/$defs/a'} | #/$ref is \"#/$defs/a\", which is not in this schema",
        "{'$ref':'#'} | leads back to # without an object or an array between",
        "{'anyOf':[{'type':'null'},{'$ref':'#'}]} | leads back to #",
        "{'oneOf':[{'type':'integer'},{'type':'number'}]} | #/oneOf 0 and 1 may both hold",
        "{'type':'object','properties':{'a':{'$ref':'#'}},'required':['a']} | cannot be written",
      })
  void shouldRefuseWhatItCannotPromise(final String schema, final String message) {
    assertThatThrownBy(() -> schema(schema))
        .isInstanceOf(ConstraintException.class)
        .hasMessageContaining(message);
  }

  @Test
  void shouldBearASchemaThatBranchesWithoutEnd() {
    final StringBuilder definitions = new StringBuilder();
    for (int i = 0; i < 30; i++) {
      definitions.append("'d%d':{'anyOf':[{'$ref':'#/$defs/d%d'},".formatted(i, i + 1));
      definitions.append("{'type':'array','items':{'$ref':'#/$defs/d%d'}},".formatted(i + 1));
      definitions.append(
          "{'type':'array','maxItems':9,'items':{'$ref':'#/$defs/d%d'}}]},".formatted(i + 1));
    }
    final Grammar grammar =
        schema("{'$ref':'#/$defs/d0','$defs':{%s'd30':{'type':'null'}}}".formatted(definitions));

    final Random random = new Random(3);
    for (int i = 0; i < 3; i++) {
      final String text = walk(grammar, 60, random);
      assertThat(text).isNotEmpty();
    }
  }

  @Test
  void shouldKnowHowManyTokensAreNeeded() {
    assertThat(Grammar.oneOf(List.of("hello world", "zzz"), VOCABULARY).fewestTokens())
        .isEqualTo(2);
    assertThat(schema("{'type':'null'}").fewestTokens()).isEqualTo(1);
    assertThat(schema("{'type':'string','minLength':5}").fewestTokens()).isEqualTo(7);
  }

  @Test
  void shouldTellManyTextsApart() {
    final List<String> texts = new ArrayList<>();
    for (int i = 0; i < 3_000; i++) {
      texts.add("item " + i);
    }
    final Grammar grammar = Grammar.oneOf(texts, VOCABULARY);

    assertThat(takes(grammar, "item 2999")).isTrue();
    assertThat(takes(grammar, "item 12")).isTrue();
    assertThat(takes(grammar, "item 3000")).isFalse();
    assertThat(texts).contains(walk(grammar, 50, new Random(1)));
  }
}
