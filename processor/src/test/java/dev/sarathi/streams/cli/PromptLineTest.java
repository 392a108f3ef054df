package dev.sarathi.streams.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.schemas.ChatMessage;
import dev.sarathi.schemas.Priority;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.Sampling;
import dev.sarathi.schemas.TokenBias;
import java.util.List;
import org.apache.avro.Schema;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class PromptLineTest {

  @Test
  void shouldTakeAStringAsThePrompt() throws Exception {
    assertThat(parse("\"Once upon\\na time\"").getPrompt()).contains("Once upon\na time");
  }

  @Test
  void shouldReadEveryField() throws Exception {
    final PromptRequest request =
        PromptRequest.newBuilder()
            .setId("r-1")
            .setMessages(
                List.of(new ChatMessage("system", "Be brief."), new ChatMessage("user", "Hi")))
            .setSampling(
                new Sampling(0.5, 20, 0.9, 0.1, 1.5, 0.25, -0.25, List.of(new TokenBias(7, -1.5))))
            .setN(3)
            .setMaxTokens(8)
            .setStop(List.of("\n\n"))
            .setStopTokenIds(List.of(1, 2))
            .setLogprobs(5)
            .setPromptLogprobs(0)
            .setTruncatePromptTokens(100)
            .setTenant("t-1")
            .setIgnoreEos(true)
            .setSeed(Long.MAX_VALUE)
            .setPriority(Priority.BULK)
            .setDeadlineMs(1_000L)
            .setModel("storyteller")
            .setJobId("j-1")
            .build();

    assertThat(parse(RecordJson.of(request).toString())).isEqualTo(request);
  }

  @Test
  void shouldKnowEveryFieldOfTheContract() {
    for (Schema.Field field : PromptRequest.getClassSchema().getFields()) {
      final String name = field.name();
      final String wrong = "{\"%s\":{\"x\":1}}".formatted(name);
      assertThatThrownBy(() -> parse(wrong))
          .isInstanceOf(InvalidPromptException.class)
          .hasMessageContaining(name)
          .hasMessageNotContaining("unknown field " + name + ";");
    }
  }

  @Test
  void shouldKeepWhatTheLineLeavesOut() throws Exception {
    final PromptRequest.Builder defaults =
        PromptRequest.newBuilder().setMaxTokens(32).setSampling(sampling(5));

    final PromptRequest request =
        PromptLine.parse("{\"prompt\":\"x\",\"sampling\":{\"top_k\":7}}", defaults);

    assertThat(request.getMaxTokens()).contains(32);
    assertThat(request.getSampling()).isEqualTo(sampling(7));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"prompt\": 7}                                | prompt is 7, must be a string",
        "{\"prompt\":\"x\",\"max_tokens\": 1.5}         | max_tokens is 1.5, must be an integer of 32 bits",
        "{\"prompt\":\"x\",\"max_tokens\": 3000000000}  | max_tokens is 3000000000, must be an integer of 32 bits",
        "{\"prompt\":\"x\",\"priority\": \"urgent\"}    | priority is \"urgent\", must be one of [INTERACTIVE, BULK]",
        "{\"prompt\":\"x\",\"maxtokens\": 3}            | unknown field maxtokens; there are id, prompt,",
        "{\"prompt\":\"x\",\"sampling\": {\"top\": 3}}  | unknown field sampling.top; there are temperature, top_k, top_p",
        "{\"token_ids\":[1, \"2\"]}                     | token_ids[1] is \"2\", must be an integer",
        "{\"messages\":[\"hi\"]}                        | messages[0] is \"hi\", must be an object",
        "{\"id\":\"r\"}                                 | 0 of prompt, token_ids and messages are set",
        "{\"prompt\":\"x\",\"token_ids\":[1]}           | 2 of prompt, token_ids and messages are set",
        "{\"prompt\":\"x\"} and more                    | not JSON",
        "{\"prompt\"                                    | not JSON",
        "17                                             | the line is 17, must be a JSON string or an object",
      })
  void shouldSayWhatIsWrong(final String line, final String message) {
    assertThatThrownBy(() -> parse(line))
        .isInstanceOf(InvalidPromptException.class)
        .hasMessageContaining(message);
  }

  private static Sampling sampling(final int topK) {
    return Sampling.newBuilder().setTemperature(0.0).setTopK(topK).build();
  }

  private static PromptRequest parse(final String line) throws InvalidPromptException {
    return PromptLine.parse(line, PromptRequest.newBuilder());
  }
}
