package dev.sarathi.schemas.batch;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.CompletionChoice;
import dev.sarathi.schemas.FinishReason;
import dev.sarathi.schemas.TokenLogprob;
import dev.sarathi.schemas.TopLogprob;
import dev.sarathi.schemas.Usage;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Result lines against {@code result-lines.jsonl}, lines that OpenAI's clients accept, and against
 * the schemas of their types, which {@code src/test/python/openai_schemas.py} has written down.
 */
class ResultLineTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Schema OPENAI =
      SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
          .getSchema(ResultLineTest.class.getResourceAsStream("openai-result-line.schema.json"));
  private static final String FINGERPRINT = "0123456789abcdef0123456789abcdef";
  private static final List<TokenLogprob> LOGPROBS =
      List.of(
          new TokenLogprob(
              5,
              -0.5f,
              List.of(new TopLogprob(5, -0.5f), new TopLogprob(9, Float.NEGATIVE_INFINITY))));

  @Test
  void shouldWriteLinesThatOpenAiClientsRead() throws Exception {
    // when
    final List<ResultLine> lines = ofEveryKind();

    // then
    final List<String> expected =
        new String(
                ResultLineTest.class.getResourceAsStream("result-lines.jsonl").readAllBytes(),
                StandardCharsets.UTF_8)
            .lines()
            .toList();
    assertThat(lines).hasSameSizeAs(expected);
    for (int i = 0; i < lines.size(); i++) {
      assertThat(JSON.readTree(lines.get(i).json())).isEqualTo(JSON.readTree(expected.get(i)));
      assertThat(lines.get(i).succeeded()).isEqualTo(i < 3);
    }
  }

  @Test
  void shouldHaveEveryFieldOfOpenAisTypesAndNoOther() throws Exception {
    for (final ResultLine line : ofEveryKind()) {
      assertThat(OPENAI.validate(JSON.readTree(line.json()))).as(line.json()).isEmpty();
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"index\":0,|",
        "\"finish_reason\":\"stop\"|\"finish_reason\":\"finished\"",
        "\"created\":1700000000|\"created\":\"1700000000\"",
        "\"object\":\"chat.completion\"|\"object\":\"chat\"",
        "\"usage\":|\"used\":",
        "\"status_code\":200,|"
      })
  void shouldNotTakeWhatOpenAisTypesHaveNot(final String part, final String other)
      throws Exception {
    final String line = ofEveryKind().getFirst().json();
    assertThat(line).contains(part);

    final String broken = line.replace(part, other == null ? "" : other);

    assertThat(OPENAI.validate(JSON.readTree(broken))).isNotEmpty();
  }

  private static List<ResultLine> ofEveryKind() {
    return List.of(
        line(Endpoint.CHAT, "chat", completion().setLogprobs(LOGPROBS)),
        line(Endpoint.TEXT, "text", completion().setLogprobs(LOGPROBS)),
        line(
            Endpoint.CHAT,
            "choices",
            completion()
                .setChoices(
                    List.of(
                        choice(0, FinishReason.STOP).build(),
                        choice(1, FinishReason.LENGTH).build()))),
        line(
            Endpoint.TEXT,
            "failed",
            completion().setFinishReason(FinishReason.ERROR).setError("prompt: is empty")),
        line(
            Endpoint.TEXT,
            "half-failed",
            completion()
                .setChoices(
                    List.of(
                        choice(0, FinishReason.STOP).build(),
                        choice(1, FinishReason.ERROR).setError("NaN logits").build()))),
        line(Endpoint.TEXT, "late", completion().setFinishReason(FinishReason.DEADLINE)),
        line(Endpoint.TEXT, "cancelled", completion().setFinishReason(FinishReason.CANCELLED)),
        line(
            Endpoint.NONE,
            "",
            completion()
                .setFinishReason(FinishReason.ERROR)
                .setError("the line is no JSON: Unexpected end-of-input")));
  }

  private static ResultLine line(
      final Endpoint endpoint, final String customId, final Completion.Builder completion) {
    final BatchRequest request = new BatchRequest(FINGERPRINT, 7, endpoint, customId);
    return ResultLine.of(request, completion.setRequestId(request.id()).build());
  }

  private static Completion.Builder completion() {
    return Completion.newBuilder()
        .setText("Tom had a red kite.\n")
        .setTokenIds(List.of(5))
        .setFinishReason(FinishReason.STOP)
        .setUsage(
            Usage.newBuilder()
                .setPromptTokens(11)
                .setCompletionTokens(4)
                .setCachedTokens(3)
                .build())
        .setModel("storyteller")
        .setFingerprint("fp")
        .setPromptedAt(Instant.EPOCH)
        .setEmittedAt(Instant.ofEpochSecond(1_700_000_000));
  }

  private static CompletionChoice.Builder choice(final int number, final FinishReason reason) {
    return CompletionChoice.newBuilder()
        .setChoice(number)
        .setText("choice " + number)
        .setFinishReason(reason);
  }
}
