package dev.sarathi.streams.application;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.Finish;
import dev.sarathi.runtime.FinishReason;
import dev.sarathi.runtime.schedule.Logprobs;
import dev.sarathi.schemas.Completion;
import dev.sarathi.schemas.PromptRequest;
import dev.sarathi.schemas.SarathiSerdes;
import dev.sarathi.schemas.Timing;
import dev.sarathi.schemas.TokenLogprob;
import dev.sarathi.schemas.TokenRecord;
import dev.sarathi.schemas.TopLogprob;
import dev.sarathi.schemas.Usage;
import dev.sarathi.streams.GenerationResult;
import dev.sarathi.streams.GenerationResult.Choice;
import dev.sarathi.streams.GenerationResult.Provenance;
import dev.sarathi.streams.Origin;
import dev.sarathi.streams.Routed;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.junit.jupiter.api.Test;

class OutputsTest {
  private static final Map<String, ?> REGISTRY = Map.of("schema.registry.url", "mock://outputs");
  private static final Provenance PROVENANCE = new Provenance(2, "f", Optional.empty());
  private static final Logprobs LOGPROBS =
      new Logprobs(7, -0.5f, new int[] {9, 7}, new float[] {-0.25f, -0.5f});
  private static final TokenLogprob RECORDED =
      new TokenLogprob(7, -0.5f, List.of(new TopLogprob(9, -0.25f), new TopLogprob(7, -0.5f)));

  private final Outputs outputs =
      new Outputs(
          Optional.of(
              new Outputs.Outlet<>(
                  "tokens",
                  "tokens",
                  "tokens-value",
                  SarathiSerdes.tokenRecord(REGISTRY).serializer())),
          Optional.of(
              new Outputs.Outlet<>(
                  "completions",
                  "completions",
                  "completions-value",
                  SarathiSerdes.completion(REGISTRY).serializer())),
          Optional.of(
              new Outputs.Outlet<>(
                  "jobs", "jobs", "jobs-value", SarathiSerdes.jobProgress(REGISTRY).serializer())),
          "dead-letters",
          "storyteller");

  @Test
  void shouldRecordWhatAChoiceGained() {
    // when
    final TokenRecord record =
        SarathiSerdes.tokenRecord(REGISTRY)
            .deserializer()
            .deserialize(
                "tokens",
                only(
                    new GenerationResult.Tokens<>(
                        "r",
                        origin(),
                        1,
                        5,
                        List.of(7),
                        List.of(LOGPROBS),
                        List.of(LOGPROBS),
                        " end",
                        Instant.EPOCH,
                        PROVENANCE,
                        Optional.of(finish(FinishReason.STOP, 6, 30)),
                        true)));

    // then
    assertThat(record.getRequestId()).isEqualTo("r");
    assertThat(record.getChoice()).isEqualTo(1);
    assertThat(record.getIndex()).isEqualTo(5);
    assertThat(record.getTokenIds()).containsExactly(7);
    assertThat(record.getLogprobs()).containsExactly(RECORDED);
    assertThat(record.getPromptLogprobs()).containsExactly(RECORDED);
    assertThat(record.getFinishReason()).contains(dev.sarathi.schemas.FinishReason.STOP);
    assertThat(record.getLast()).isTrue();
    assertThat(record.getUsage()).contains(new Usage(4, 6, 0));
    assertThat(record.getTiming()).contains(new Timing(1.0, 2.0, 30.0, 3.0));
    assertThat(record.getAttempt()).isEqualTo(2);
    assertThat(record.getJobId()).contains("j");
  }

  @Test
  void shouldRecordAllChoicesAndTheFirstAsThoughItWereTheOnlyOne() {
    // when
    final Completion completion =
        completion(
            new Choice(List.of(7), List.of(LOGPROBS), "so", finish(FinishReason.LENGTH, 1, 10)),
            new Choice(List.of(8, 9), List.of(), "or so", finish(FinishReason.CANCELLED, 2, 20)));

    // then
    assertThat(completion.getText()).isEqualTo("so");
    assertThat(completion.getTokenIds()).containsExactly(7);
    assertThat(completion.getLogprobs()).containsExactly(RECORDED);
    assertThat(completion.getPromptLogprobs()).containsExactly(RECORDED);
    assertThat(completion.getFinishReason()).isEqualTo(dev.sarathi.schemas.FinishReason.LENGTH);
    assertThat(completion.getUsage()).contains(new Usage(4, 3, 0));
    assertThat(completion.getTiming()).contains(new Timing(1.0, 2.0, 20.0, 3.0));
    assertThat(completion.getChoices())
        .extracting(choice -> choice.getChoice() + " " + choice.getText() + choice.getTokenIds())
        .containsExactly("0 so[7]", "1 or so[8, 9]");
    assertThat(completion.getChoices().getFirst().getLogprobs()).containsExactly(RECORDED);
    assertThat(completion.getChoices().getLast().getFinishReason())
        .isEqualTo(dev.sarathi.schemas.FinishReason.CANCELLED);
  }

  @Test
  void shouldNotRepeatAnOnlyChoice() {
    assertThat(
            completion(new Choice(List.of(7), List.of(), "so", finish(FinishReason.LENGTH, 1, 10)))
                .getChoices())
        .isEmpty();
  }

  private Completion completion(final Choice... choices) {
    return SarathiSerdes.completion(REGISTRY)
        .deserializer()
        .deserialize(
            "completions",
            only(
                new GenerationResult.Completion<>(
                    "r",
                    origin(),
                    List.of(choices),
                    List.of(LOGPROBS),
                    Instant.EPOCH,
                    PROVENANCE)));
  }

  private byte[] only(final GenerationResult<byte[], SourcePrompt> result) {
    final List<Routed<byte[], byte[]>> records = outputs.records(result);
    assertThat(records).hasSize(1);
    return records.getFirst().record().value();
  }

  private static Finish finish(
      final FinishReason reason, final int completionTokens, final long totalMillis) {
    return new Finish(
        reason,
        Optional.empty(),
        new Finish.Usage(4, completionTokens, 0),
        new Finish.Timing(
            Duration.ofMillis(1),
            Duration.ofMillis(2),
            Duration.ofMillis(totalMillis),
            Duration.ofMillis(3)));
  }

  private static Origin<byte[], SourcePrompt> origin() {
    return new Origin<>(
        Optional.empty(),
        Optional.of(
            new SourcePrompt(
                "r",
                PromptRequest.newBuilder().setPrompt("Once").setJobId("j").build(),
                Instant.EPOCH,
                new byte[0],
                Optional.empty())),
        new RecordHeaders(),
        Instant.EPOCH,
        "prompts",
        0,
        0);
  }
}
