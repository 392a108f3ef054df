package dev.sarathi.streams.internal;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.ChatMessage;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.Priority;
import dev.sarathi.runtime.Prompt;
import dev.sarathi.runtime.Sampling;
import dev.sarathi.streams.Origin;
import dev.sarathi.streams.internal.stored.StoredRequest;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.Serdes;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class RequestsTest {
  private static final Requests<String, String> REQUESTS =
      new Requests<>(
          (key, value) -> key,
          GenerationRequest::of,
          Serdes.String(),
          Serdes.String(),
          Optional::ofNullable);
  private static final GenerationRequest PLAIN = GenerationRequest.of("r", "Once");

  static Stream<GenerationRequest> everyOption() {
    return Stream.concat(
        Stream.of(
            GenerationRequest.of("r", new Prompt.Tokens(new int[] {1, 2})),
            GenerationRequest.of(
                "r",
                new Prompt.Chat(
                    List.of(new ChatMessage("system", "Be brief."), new ChatMessage("user", ""))))),
        Stream.<UnaryOperator<GenerationRequest>>of(
                r -> r.withSampling(Sampling.at(0.7f).withTopK(4).withTopP(0.9f).withSeed(-1)),
                r -> r.withSampling(Sampling.GREEDY.withMinP(0.1f)),
                r -> r.withSampling(Sampling.GREEDY.withPenalties(1.5f, 0, 0)),
                r -> r.withSampling(Sampling.GREEDY.withPenalties(1, -1, 0)),
                r -> r.withSampling(Sampling.GREEDY.withPenalties(1, 0, 2)),
                r -> r.withSampling(Sampling.GREEDY.withLogitBias(Map.of(9, -1f, 5, 100f))),
                r -> r.withTruncatedPrompt(0),
                r -> r.withChoices(3),
                r -> r.withLogprobs(0),
                r -> r.withPromptLogprobs(20),
                r -> r.withMaxTokens(7),
                r -> r.withStop(List.of(".", "!")),
                r -> r.withStopTokens(new LinkedHashSet<>(List.of(9, 5))),
                r -> r.withIgnoreEos(true),
                r -> r.withPriority(Priority.BULK),
                r -> r.withTenant("acme"))
            .map(option -> option.apply(PLAIN)));
  }

  @ParameterizedTest
  @MethodSource("everyOption")
  void shouldKeepWhatWasAskedForAndTellItFromAnotherRequest(final GenerationRequest request)
      throws Exception {
    final StoredRequest stored =
        StoredRequest.fromByteBuffer(ByteBuffer.wrap(GenerationStores.encode(store(request))));

    assertThat(Requests.requestOf(stored)).isEqualTo(request);
    assertThat(Requests.digest(stored))
        .isEqualTo(Requests.digest(store(request)))
        .isNotEqualTo(Requests.digest(store(PLAIN)));
  }

  @Test
  void shouldNotTellRequestsApartThatDifferInTheirDeadline() {
    assertThat(Requests.digest(store(PLAIN.withDeadline(Instant.EPOCH))))
        .isEqualTo(Requests.digest(store(PLAIN)));
  }

  private static StoredRequest store(final GenerationRequest request) {
    return REQUESTS.store(
        "r",
        request,
        new Origin<>(
            Optional.of("k"), Optional.of("v"), new RecordHeaders(), Instant.EPOCH, "t", 0, 0));
  }
}
