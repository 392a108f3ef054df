package dev.sarathi.streams;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sarathi.runtime.EngineConfig;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.runtime.GenerationRequest;
import dev.sarathi.runtime.TestEngine;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.LongSerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.TestInputTopic;
import org.apache.kafka.streams.TestOutputTopic;
import org.apache.kafka.streams.TopologyTestDriver;
import org.apache.kafka.streams.kstream.Branched;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example of docs/embed.md, with strings for tickets and summaries. */
class EmbeddedGenerationTest {

  @Test
  void shouldBeANodeOfAnybodysTopology(@TempDir final Path state) {
    try (GenerationEngine engine =
        GenerationEngine.start(EngineConfig.of(Path.of("../models/storyteller")))) {
      // given
      final StreamsBuilder builder = new StreamsBuilder();
      final KStream<Long, String> tickets =
          builder.stream("tickets", Consumed.with(Serdes.Long(), Serdes.String()));
      final KStream<Long, String> summaries =
          tickets.process(
              Generation.<Long, String>using(engine)
                  .id((key, ticket) -> "ticket-" + key)
                  .request(
                      (key, ticket) ->
                          GenerationRequest.of("ticket-" + key, ticket).withMaxTokens(8))
                  .carrying(Serdes.Long(), Serdes.String())
                  .completions(
                      completion -> completion.origin().value().orElseThrow() + completion.text())
                  .as("summarise"));
      summaries.to("summaries", Produced.with(Serdes.Long(), Serdes.String()));

      // when
      try (TopologyTestDriver driver = new TopologyTestDriver(builder.build(), properties(state))) {
        final TestInputTopic<Long, String> in =
            driver.createInputTopic("tickets", new LongSerializer(), new StringSerializer());
        final TestOutputTopic<Long, String> out =
            driver.createOutputTopic("summaries", new LongDeserializer(), new StringDeserializer());
        in.pipeInput(7L, "Once upon a time");
        final long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (out.isEmpty() && System.nanoTime() < deadline) {
          driver.advanceWallClockTime(Duration.ofMillis(10));
        }

        // then: the reference's first eight tokens
        assertThat(out.readKeyValuesToList())
            .containsExactly(
                KeyValue.pair(7L, "Once upon a time there were some friends. Nora lived near"));
      }
    }
  }

  @Test
  void shouldHaveSeveralNodesOnSeveralEngines(@TempDir final Path state) {
    try (TestEngine small = TestEngine.answering(prompt -> " is small");
        TestEngine large = TestEngine.answering(prompt -> " is large")) {
      // given
      final StreamsBuilder builder = new StreamsBuilder();
      builder.stream("prompts", Consumed.with(Serdes.String(), Serdes.String()))
          .split()
          .branch(
              (key, prompt) -> key.startsWith("s"),
              Branched.withConsumer(prompts -> answer(prompts, small.engine(), "small")))
          .defaultBranch(
              Branched.withConsumer(prompts -> answer(prompts, large.engine(), "large")));
      try (TopologyTestDriver driver = new TopologyTestDriver(builder.build(), properties(state))) {
        final TestInputTopic<String, String> prompts =
            driver.createInputTopic("prompts", new StringSerializer(), new StringSerializer());
        final TestOutputTopic<String, String> answers =
            driver.createOutputTopic("answers", new StringDeserializer(), new StringDeserializer());

        // when
        small.hold();
        prompts.pipeInput("s1", "one");
        prompts.pipeInput("l1", "two");
        twoTurns(driver);

        // then: neither waits for the other
        assertThat(answers.readKeyValuesToList()).containsExactly(KeyValue.pair("l1", " is large"));

        // when
        small.release();
        twoTurns(driver);

        // then
        assertThat(answers.readKeyValuesToList()).containsExactly(KeyValue.pair("s1", " is small"));
      }
    }
  }

  private static void answer(
      final KStream<String, String> prompts, final GenerationEngine engine, final String name) {
    prompts
        .process(
            Generation.<String, String>using(engine)
                .id((key, prompt) -> key)
                .request((key, prompt) -> GenerationRequest.of(key, prompt))
                .carrying(Serdes.String(), Serdes.String())
                .completions(GenerationResult.Completion::text)
                .as(name))
        .to("answers", Produced.with(Serdes.String(), Serdes.String()));
  }

  /** One takes a request up, the next hands it over and forwards what came. */
  private static void twoTurns(final TopologyTestDriver driver) {
    driver.advanceWallClockTime(Duration.ofMillis(10));
    driver.advanceWallClockTime(Duration.ofMillis(10));
  }

  private static Properties properties(final Path state) {
    final Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, "embedded");
    properties.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    return properties;
  }
}
