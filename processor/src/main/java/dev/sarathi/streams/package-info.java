/**
 * Text generation as a node of a Kafka Streams topology.
 *
 * <p>{@link dev.sarathi.streams.Generation} makes the node. Its results are values of {@link
 * dev.sarathi.streams.GenerationResult}, its limits {@link dev.sarathi.streams.GenerationSettings}.
 * {@link dev.sarathi.streams.RequestQueries} looks into its stores while it runs, {@link
 * dev.sarathi.streams.StoreMemory} bounds their memory.
 *
 * <pre>{@code
 * GenerationEngine engine = GenerationEngine.start(EngineConfig.of(Path.of("models/storyteller")));
 * StreamsBuilder builder = new StreamsBuilder();
 * builder.stream("prompts", Consumed.with(Serdes.String(), Serdes.String()))
 *     .process(
 *         Generation.<String, String>using(engine)
 *             .id((key, prompt) -> key)
 *             .request((key, prompt) -> GenerationRequest.of(key, prompt).withMaxTokens(200))
 *             .carrying(Serdes.String(), Serdes.String())
 *             .completions(completion -> completion.text())
 *             .as("generate"))
 *     .to("answers", Produced.with(Serdes.String(), Serdes.String()));
 * KafkaStreams streams = new KafkaStreams(builder.build(), properties); // exactly_once_v2
 * streams.start();
 * …
 * streams.close();
 * engine.close();
 * }</pre>
 *
 * <p>{@link dev.sarathi.streams.SarathiConfig} configures the ready-made application, which is the
 * same node with bytes on both sides.
 */
package dev.sarathi.streams;
