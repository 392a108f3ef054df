package dev.sarathi.schemas.batch;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
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

/**
 * Result lines against {@code result-lines.jsonl}: lines that the types of OpenAI's client accept,
 * field by field ({@code com.openai:openai-java-core:4.101.0}, {@code ChatCompletion.validate()}
 * and {@code Completion.validate()}).
 */
class ResultLineTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String FINGERPRINT = "0123456789abcdef0123456789abcdef";
  private static final List<TokenLogprob> LOGPROBS =
      List.of(
          new TokenLogprob(
              5,
              -0.5f,
              List.of(new TopLogprob(5, -0.5f), new TopLogprob(9, Float.NEGATIVE_INFINITY))));

  @Test
  void shouldWriteLinesThatOpenAiClientsRead() throws Exception {
    // given
    final List<ResultLine> lines =
        List.of(
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
