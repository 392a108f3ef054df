package dev.sarathi.examples;

import static org.apache.kafka.common.serialization.Serdes.String;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.streams.Generation;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Branched;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Several models in one topology, by the threads of one process: docs/embed.md. */
class TwoModelsTest {

  @Test
  void shouldServeEachPromptByTheModelThatItIsRoutedTo(@TempDir final Path directory)
      throws Exception {
    final EngineConfig config = EngineConfig.of(RunningExample.MODEL).withThreads(1);
    final AtomicReference<String> whole = new AtomicReference<>();
    try (GenerationEngine quantised = GenerationEngine.start(config.withWeights("int8"));
        RunningExample example =
            new RunningExample(
                engine -> {
                  whole.set(engine.fingerprint());
                  return topology(engine, quantised);
                },
                directory,
                "prompts",
                "answers")) {
      // when
      for (int i = 0; i < 10; i++) {
        example.send("prompts", "whole-" + i, "Once upon a time");
        example.send("prompts", "bulk-" + i, "Once upon a time");
      }

      // then
      assertThat(quantised.fingerprint()).isNotEqualTo(whole.get());
      assertThat(example.read("answers", 20))
          .allSatisfy(
              answer ->
                  assertThat(answer.value())
                      .isEqualTo(isBulk(answer.key()) ? quantised.fingerprint() : whole.get()))
          .extracting(ConsumerRecord::key)
          .doesNotHaveDuplicates();
    }
  }

  private static boolean isBulk(final String key) {
    return key.startsWith("bulk");
  }

  private static Topology topology(final GenerationEngine whole, final GenerationEngine quantised) {
    final StreamsBuilder builder = new StreamsBuilder();
    builder.stream("prompts", Consumed.with(String(), String()))
        .split()
        .branch(
            (key, prompt) -> isBulk(key),
            Branched.withConsumer(prompts -> answer(prompts, quantised, "quantised")))
        .defaultBranch(Branched.withConsumer(prompts -> answer(prompts, whole, "whole")));
    return builder.build();
  }

  private static void answer(
      final KStream<String, String> prompts, final GenerationEngine engine, final String name) {
    prompts
        .process(
            Generation.<String, String>using(engine)
                .id((key, prompt) -> key)
                .request((key, prompt) -> GenerationRequest.of(key, prompt).withMaxTokens(16))
                .carrying(String(), String())
                .completions(completion -> completion.provenance().fingerprint())
                .as(name))
        .to("answers", Produced.with(String(), String()));
  }
}
