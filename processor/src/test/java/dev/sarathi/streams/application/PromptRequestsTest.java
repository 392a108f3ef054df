package dev.sarathi.streams.application;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sarathi.runtime.ChatMessage;
import dev.sarathi.runtime.Constraint;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.InvalidRequestException;
import dev.sarathi.runtime.Priority;
import dev.sarathi.runtime.Prompt;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.Sampling;
import dev.sarathi.schemas.TokenBias;
import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.apache.avro.Schema;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class PromptRequestsTest {
  private static final Instant SENT = Instant.ofEpochMilli(1_000);

  /** The defaults of the contract: sampling from the model's own distribution. */
  private static final GenerationRequest PLAIN =
      GenerationRequest.of("r", "Once").withSampling(dev.sarathi.runtime.Sampling.at(1));

  /** A field of the contract, a value, and what the engine is to be asked for. */
  record Field(
      String name,
      Consumer<PromptRequest.Builder> given,
      UnaryOperator<GenerationRequest> expected) {
    @Override
    public String toString() {
      return name;
    }
  }

  static Stream<Field> fields() {
    return Stream.of(
        new Field("prompt", r -> r.setPrompt("Twice"), r -> prompt(new Prompt.Text("Twice"))),
        new Field(
            "token_ids",
            r -> r.setPrompt(null).setTokenIds(List.of(4, 5)),
            r -> prompt(new Prompt.Tokens(new int[] {4, 5}))),
        new Field(
            "messages",
            r ->
                r.setPrompt(null)
                    .setMessages(List.of(new dev.sarathi.schemas.ChatMessage("user", "Hi"))),
            r -> prompt(new Prompt.Chat(List.of(new ChatMessage("user", "Hi"))))),
        sampling(
            "temperature", s -> s.setTemperature(0.5), s -> dev.sarathi.runtime.Sampling.at(0.5f)),
        sampling("top_k", s -> s.setTopK(7), s -> s.withTopK(7)),
        sampling("top_p", s -> s.setTopP(0.75), s -> s.withTopP(0.75f)),
        sampling("min_p", s -> s.setMinP(0.25), s -> s.withMinP(0.25f)),
        sampling(
            "repetition_penalty",
            s -> s.setRepetitionPenalty(1.5),
            s -> s.withPenalties(1.5f, 0, 0)),
        sampling("presence_penalty", s -> s.setPresencePenalty(-1), s -> s.withPenalties(1, -1, 0)),
        sampling("frequency_penalty", s -> s.setFrequencyPenalty(2), s -> s.withPenalties(1, 0, 2)),
        sampling(
            "logit_bias",
            s -> s.setLogitBias(List.of(new TokenBias(9, -100.0), new TokenBias(5, 0.5))),
            s -> s.withLogitBias(Map.of(9, -100f, 5, 0.5f))),
        new Field("n", r -> r.setN(3), r -> r.withChoices(3)),
        new Field("max_tokens", r -> r.setMaxTokens(9), r -> r.withMaxTokens(9)),
        new Field("stop", r -> r.setStop(List.of(".")), r -> r.withStop(List.of("."))),
        new Field(
            "stop_token_ids",
            r -> r.setStopTokenIds(List.of(9, 5, 9)),
            r -> r.withStopTokens(Set.of(5, 9))),
        new Field("ignore_eos", r -> r.setIgnoreEos(true), r -> r.withIgnoreEos(true)),
        new Field("logprobs", r -> r.setLogprobs(0), r -> r.withLogprobs(0)),
        new Field("prompt_logprobs", r -> r.setPromptLogprobs(2), r -> r.withPromptLogprobs(2)),
        new Field(
            "truncate_prompt_tokens",
            r -> r.setTruncatePromptTokens(100),
            r -> r.withTruncatedPrompt(100)),
        new Field("seed", r -> r.setSeed(-5L), r -> r.withSampling(r.sampling().withSeed(-5))),
        new Field(
            "priority",
            r -> r.setPriority(dev.sarathi.schemas.Priority.BULK),
            r -> r.withPriority(Priority.BULK)),
        new Field(
            "deadline_ms", r -> r.setDeadlineMs(500L), r -> r.withDeadline(SENT.plusMillis(500))),
        new Field(
            "constraint",
            r ->
                r.setConstraint(
                    new dev.sarathi.schemas.Constraint(List.of(), "{\"type\":\"null\"}")),
            r -> r.withConstraint(Constraint.jsonSchema("{\"type\":\"null\"}"))),
        new Field("tenant", r -> r.setTenant("acme"), r -> r.withTenant("acme")));
  }

  @ParameterizedTest
  @MethodSource("fields")
  void shouldAskTheEngineForWhatTheFieldSays(final Field field) {
    final PromptRequest.Builder given = PromptRequest.newBuilder().setPrompt("Once");
    field.given().accept(given);

    assertThat(PromptRequests.toGenerationRequest("r", given.build(), SENT))
        .isEqualTo(field.expected().apply(PLAIN));
  }

  @Test
  void shouldKnowEveryFieldOfTheContract() {
    final Set<String> known = new HashSet<>(fields().map(Field::name).toList());
    // Not the engine's: who and where, and what holds the fields above.
    known.addAll(List.of("id", "model", "job_id", "sampling"));

    assertThat(known)
        .containsAll(names(PromptRequest.getClassSchema()))
        .containsAll(names(Sampling.getClassSchema()));
  }

  @Test
  void shouldNameTheFieldAtFault() {
    assertRefused(r -> r.setDeadlineMs(-1L), "deadline_ms: -1 is negative");
    assertRefused(
        r -> r.setTokenIds(List.of(1)),
        "prompt: 2 of prompt, token_ids and messages are set; valid is exactly one");
    assertRefused(
        r ->
            r.setSampling(
                Sampling.newBuilder()
                    .setLogitBias(List.of(new TokenBias(9, 1.0), new TokenBias(9, 2.0)))
                    .build()),
        "logit_bias: has token 9 more than once");
  }

  private static void assertRefused(
      final Consumer<PromptRequest.Builder> given, final String message) {
    final PromptRequest.Builder request = PromptRequest.newBuilder().setPrompt("Once");
    given.accept(request);
    assertThatThrownBy(() -> PromptRequests.toGenerationRequest("r", request.build(), SENT))
        .isInstanceOf(InvalidRequestException.class)
        .hasMessage(message);
  }

  private static List<String> names(final Schema schema) {
    return schema.getFields().stream().map(Schema.Field::name).toList();
  }

  private static GenerationRequest prompt(final Prompt prompt) {
    return GenerationRequest.of("r", prompt).withSampling(PLAIN.sampling());
  }

  private static Field sampling(
      final String name,
      final Consumer<Sampling.Builder> given,
      final UnaryOperator<dev.sarathi.runtime.Sampling> expected) {
    return new Field(
        name,
        request -> {
          final Sampling.Builder sampling = Sampling.newBuilder();
          given.accept(sampling);
          request.setSampling(sampling.build());
        },
        request -> request.withSampling(expected.apply(request.sampling())));
  }
}
