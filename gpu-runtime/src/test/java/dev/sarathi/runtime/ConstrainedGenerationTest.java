package dev.sarathi.runtime;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import dev.sarathi.runtime.constrain.RandomSchemas;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** What comes out is what was asked for, with a real model that knows nothing of JSON. */
class ConstrainedGenerationTest {
  private static final int SCHEMAS = 200;
  private static final EngineConfig CONFIG =
      EngineConfig.of(Path.of("../models/storyteller"))
          .withMaxContext(512)
          .withWarmUp(Duration.ZERO);
  private static final long BLOCK_BYTES = 16L * 5 * 2 * 2 * 32 * 4;
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();
  private static final SchemaRegistry VALIDATORS =
      SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12);
  private static final String PERSON =
      """
      {"type": "object",
       "properties": {
         "name": {"type": "string", "maxLength": 30},
         "age": {"type": "integer", "minimum": 0, "maximum": 120},
         "friends": {"type": "array", "items": {"$ref": "#"}}},
       "required": ["name", "age"]}
      """;

  private static GenerationEngine engine;

  @BeforeAll
  static void start() {
    engine = GenerationEngine.start(CONFIG);
  }

  @AfterAll
  static void stop() {
    engine.close();
  }

  private static GenerationRequest request(final String id, final Constraint constraint) {
    return GenerationRequest.of(id, "Once upon a time")
        .withSampling(Sampling.at(1))
        .withMaxTokens(200)
        .withConstraint(constraint);
  }

  private static CollectingListener.Collected run(final GenerationRequest request)
      throws Exception {
    final CollectingListener listener = new CollectingListener();
    engine.submit(request, listener);
    return listener.collected();
  }

  @Test
  void shouldYieldDocumentsThatAreValid() throws Exception {
    final List<CollectingListener> listeners = new ArrayList<>();
    for (int i = 0; i < SCHEMAS; i++) {
      final CollectingListener listener = new CollectingListener();
      listeners.add(listener);
      engine.submit(
          request("schema-" + i, Constraint.jsonSchema(RandomSchemas.schema(i))), listener);
    }
    int stopped = 0;
    for (int i = 0; i < SCHEMAS; i++) {
      final CollectingListener.Collected collected = listeners.get(i).collected();
      if (collected.finish().reason() == FinishReason.STOP) {
        stopped++;
        assertValid(RandomSchemas.schema(i), collected.text());
      }
    }
    assertThat(stopped).isGreaterThanOrEqualTo(SCHEMAS * 98 / 100);
  }

  private static void assertValid(final String schema, final String text) throws Exception {
    final JsonNode document = JSON.readTree(text);
    assertThat(VALIDATORS.getSchema(JSON.readTree(schema)).validate(document))
        .as("%s by %s", text, schema)
        .isEmpty();
  }

  @Test
  void shouldEndInTimeHoweverFewTokensThereAre() throws Exception {
    final String schema =
        """
        {"type": "object", "properties": {"story": {"type": "string"}}, "required": ["story"]}
        """;
    for (int maxTokens = 14; maxTokens < 40; maxTokens++) {
      final CollectingListener.Collected collected =
          run(request("few-" + maxTokens, Constraint.jsonSchema(schema)).withMaxTokens(maxTokens));
      assertThat(collected.finish().reason()).isEqualTo(FinishReason.STOP);
      assertThat(collected.tokens().length).isLessThanOrEqualTo(maxTokens);
      assertValid(schema, collected.text());
    }
  }

  @Test
  void shouldChooseOneOfTheTexts() throws Exception {
    final List<String> texts = List.of("a cat", "a catfish", "größer", "no");
    for (int i = 0; i < 40; i++) {
      final CollectingListener.Collected collected =
          run(request("choice-" + i, Constraint.oneOf(texts)));
      assertThat(collected.finish().reason()).isEqualTo(FinishReason.STOP);
      assertThat(texts).contains(collected.text());
    }
  }

  @Test
  void shouldConstrainEachChoiceByItself() throws Exception {
    final CollectingListener listener = new CollectingListener();
    engine.submit(request("n", Constraint.jsonSchema(PERSON)).withChoices(4), listener);

    final List<String> texts = new ArrayList<>(List.of("", "", "", ""));
    for (final TokenDelta delta : listener.deltas()) {
      texts.set(delta.choice(), texts.get(delta.choice()) + delta.text());
    }
    for (final String text : texts) {
      assertValid(PERSON, text);
    }
    assertThat(Set.copyOf(texts)).hasSizeGreaterThan(1);
  }

  @Test
  void shouldYieldTheSameTokensInABatchWithPreemptionAndResumed() throws Exception {
    final GenerationRequest watched = request("watched", Constraint.jsonSchema(PERSON));
    final CollectingListener.Collected alone = run(watched);
    assertThat(alone.tokens().length).isGreaterThan(10);

    // when in company, of which not all fit into memory
    try (GenerationEngine tight =
        GenerationEngine.start(
            CONFIG.withMaxContext(320).withKvMemory(30 * BLOCK_BYTES).withPrefixCache(false))) {
      final List<CollectingListener> company = new ArrayList<>();
      for (int i = 0; i < 12; i++) {
        final CollectingListener listener = new CollectingListener();
        company.add(listener);
        tight.submit(
            i == 11
                ? watched
                : GenerationRequest.of("free-" + i, "Once upon a time")
                    .withIgnoreEos(true)
                    .withMaxTokens(120),
            listener);
      }
      assertThat(company.getLast().collected().tokens()).isEqualTo(alone.tokens());
      for (final CollectingListener listener : company) {
        listener.collected();
      }
      assertThat(tight.preemptions()).isPositive();
    }

    // when resumed at each of its tokens
    for (int cut = 1; cut < alone.tokens().length; cut += 3) {
      final CollectingListener listener = new CollectingListener();
      engine.resume(
          watched, List.of(new EmittedChoice(Arrays.copyOf(alone.tokens(), cut), false)), listener);
      assertThat(listener.collected().tokens())
          .isEqualTo(Arrays.copyOfRange(alone.tokens(), cut, alone.tokens().length));
    }
  }

  @Test
  void shouldRefuseWhatCannotBeKept() {
    assertThatThrownBy(() -> run(request("short", Constraint.jsonSchema(PERSON)).withMaxTokens(3)))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessageContaining("max_tokens")
        .hasMessageContaining("3 are left");
    assertThatThrownBy(
            () ->
                run(
                    request(
                        "unknown",
                        Constraint.jsonSchema("{\"type\":\"string\",\"pattern\":\"a*\"}"))))
        .hasMessageContaining("#/pattern is not supported");
    assertThatThrownBy(
            () -> run(request("stop", Constraint.oneOf(List.of("a"))).withStop(List.of("."))))
        .hasMessageContaining("stop");
    assertThatThrownBy(
            () -> run(request("token", Constraint.oneOf(List.of("a"))).withStopTokens(Set.of(100))))
        .hasMessageContaining("100 stands for text");
  }
}
