package dev.sarathi.examples.chat;

import static org.apache.kafka.common.serialization.Serdes.String;

import dev.sarathi.examples.ExampleApplication;
import dev.sarathi.runtime.GenerationEngine;
import dev.sarathi.streams.Generation;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/**
 * Conversations, keyed by their ids: users' lines come from {@code turns}, answers go to {@code
 * replies}. Each conversation up to its last answer is in {@code history}, a compacted topic with
 * as many partitions as {@code turns}, from which the topology takes it up again.
 *
 * <p>A conversation waits for one answer at a time. What is said meanwhile is kept in the table of
 * talks: it comes behind that answer, and is asked when the answer is back.
 */
public final class Chat {
  public static Topology topology(final GenerationEngine engine) {
    final StreamsBuilder builder = new StreamsBuilder();
    final KStream<String, Talk> answered =
        builder.stream("turns", Consumed.with(String(), String()))
            .mapValues(Talk::turn)
            .merge(builder.stream("history", Consumed.with(String(), Talk.SERDE)))
            .groupByKey(Grouped.with(String(), Talk.SERDE))
            .aggregate(
                () -> Talk.EMPTY,
                (key, news, talk) -> talk.with(news),
                // A cache would merge two updates, and lose the first one's question.
                Materialized.<String, Talk>as(Stores.persistentKeyValueStore("talks"))
                    .withCachingDisabled()
                    .withKeySerde(String())
                    .withValueSerde(Talk.SERDE))
            .toStream()
            .filter((key, talk) -> talk.asks())
            .process(answer(engine));
    answered.to("history", Produced.with(String(), Talk.SERDE));
    answered.mapValues(Talk::lastLine).to("replies", Produced.with(String(), String()));
    return builder.build();
  }

  private static Generation<String, Talk, Talk> answer(final GenerationEngine engine) {
    return Generation.<String, Talk>using(engine)
        .id((key, talk) -> key + "-" + talk.messages().size())
        .request((key, talk) -> talk.request(key))
        .carrying(String(), Talk.SERDE)
        // An error is an answer, too: without one, the conversation would wait for ever.
        .completions(done -> done.origin().value().orElseThrow().answered(done))
        .as("answer");
  }

  public static void main(final String... arguments) {
    ExampleApplication.run("chat", Chat::topology, arguments);
  }
}
